"""The rules of a second factor: time-based codes (RFC 6238), each accepted once, and recovery codes."""

import hashlib
import hmac
from base64 import b32decode
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from command_service.features.sessions.commands import ActivateTotp, EnrolTotp, RemoveTotp, UseOtp
from shared_kernel.errors import ImpossibleHistory, Refusal
from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import (
    RecoveryCodeUsed,
    TotpActivated,
    TotpCodeAccepted,
    TotpCodeRefused,
    TotpEnrolled,
    TotpRemoved,
)

STEP = 30
DIGITS = 6
FREE_TRIES = 5
"""How many wrong codes in a row cost nothing; each further one doubles the wait."""
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A user's second factor as its events have made it; without `secret` there is none."""

    user_id: UUID
    secret: str | None = field(default=None, repr=False)
    active: bool = False
    last_step: int = -1
    recovery: tuple[str, ...] = field(default=(), repr=False)
    spent: frozenset[int] = frozenset()
    wrong: int = 0
    wrong_at: datetime | None = None

    def waits_until(self) -> datetime | None:
        """Until when no code is looked at, because too many wrong ones came; None when there is nothing to wait for."""
        if self.wrong < FREE_TRIES or self.wrong_at is None:
            return None
        doublings: int = 1 << min(self.wrong - FREE_TRIES, 10)
        return self.wrong_at + min(FIRST_WAIT * doublings, LONGEST_WAIT)


class TotpAlreadyActive(Refusal):
    """The account has a second factor already; remove it before another one is set up."""


class NoTotpToActivate(Refusal):
    """There is no new second factor waiting for its first code; ask for one first."""


class NoTotpActive(Refusal):
    """The account has no second factor."""


class WrongCode(Refusal):
    """The code is not right, or has been used; wait for the next one and try again."""

    status = 422


class TooManyWrongCodes(Refusal):
    """Too many wrong codes came in a row; wait a while, or use a recovery code."""

    status = 429


def enrol_totp(factor: SecondFactor | None, command: EnrolTotp, now: datetime) -> tuple[Event, ...]:
    if factor is not None and factor.active:
        raise TotpAlreadyActive
    return (TotpEnrolled(user_id=command.user_id, secret=command.secret),)


def activate_totp(factor: SecondFactor | None, command: ActivateTotp, now: datetime) -> tuple[Event, ...]:
    """A wrong first code leaves its trace too; look at what happened to know."""
    if factor is None or factor.secret is None or factor.active:
        raise NoTotpToActivate
    _refuse_haste(factor, now)
    step = matching_step(factor, command.otp, now, command.steps)
    if step is None:
        return (TotpCodeRefused(user_id=factor.user_id, refused_at=now),)
    hashes = ",".join(command.recovery_hashes)
    return (TotpActivated(user_id=factor.user_id, step=step, recovery_hashes=hashes),)


def use_otp(factor: SecondFactor | None, command: UseOtp, now: datetime) -> tuple[Event, ...]:
    """Accepted is what ends in TotpCodeAccepted or RecoveryCodeUsed; a wrong code leaves its trace too."""
    if factor is None or not factor.active:
        raise NoTotpActive
    number = _recovery_number(factor, command.otp)
    if number is not None:
        return (RecoveryCodeUsed(user_id=factor.user_id, number=number),)
    _refuse_haste(factor, now)
    step = matching_step(factor, command.otp, now, command.steps)
    if step is None:
        return (TotpCodeRefused(user_id=factor.user_id, refused_at=now),)
    return (TotpCodeAccepted(user_id=factor.user_id, step=step),)


def remove_totp(factor: SecondFactor | None, command: RemoveTotp, now: datetime) -> tuple[Event, ...]:
    return () if factor is None or factor.secret is None else (TotpRemoved(user_id=factor.user_id),)


def evolve_totp(factor: SecondFactor | None, event: Event) -> SecondFactor:
    """The second factor after one more event of its stream."""
    if isinstance(event, TotpEnrolled):
        return SecondFactor(event.user_id, event.secret, last_step=-1 if factor is None else factor.last_step)
    if factor is None:
        raise ImpossibleHistory
    match event:
        case TotpActivated():
            recovery = tuple(event.recovery_hashes.split(","))
            return replace(_right(factor), active=True, last_step=event.step, recovery=recovery)
        case TotpCodeAccepted():
            return replace(_right(factor), last_step=event.step)
        case RecoveryCodeUsed():
            return replace(_right(factor), spent=factor.spent | {event.number})
        case TotpCodeRefused():
            return replace(factor, wrong=factor.wrong + 1, wrong_at=event.refused_at)
        case TotpRemoved():
            return SecondFactor(factor.user_id, last_step=factor.last_step)
    raise ImpossibleHistory


def matching_step(factor: SecondFactor, otp: str, now: datetime, steps: int) -> int | None:
    """The time step whose code this is: one of the last `steps`, never one that was accepted before."""
    if factor.secret is None:
        return None
    present = int(now.timestamp()) // STEP
    for step in range(present, present - steps, -1):
        if step > factor.last_step and hmac.compare_digest(code_at(factor.secret, step), _digits(otp)):
            return step
    return None


def code_at(secret: str, step: int) -> bytes:
    """The code of a time step (RFC 4226 with SHA-1, which every authenticator app understands)."""
    digest = hmac.digest(b32decode(secret + "=" * (-len(secret) % 8)), step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return b"%0*d" % (DIGITS, number % 10**DIGITS)


def recovery_hash(code: str) -> str:
    """Upper and lower case, hyphens and white space make no difference; 128 random bits need no slow hash."""
    plain = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()


def _digits(otp: str) -> bytes:
    return "".join(otp.split()).encode()


def _recovery_number(factor: SecondFactor, otp: str) -> int | None:
    offered = recovery_hash(otp)
    for number, known in enumerate(factor.recovery):
        if hmac.compare_digest(known, offered) and number not in factor.spent:
            return number
    return None


def _refuse_haste(factor: SecondFactor, now: datetime) -> None:
    until = factor.waits_until()
    if until is not None and now < until:
        raise TooManyWrongCodes


def _right(factor: SecondFactor) -> SecondFactor:
    return replace(factor, wrong=0, wrong_at=None)
