"""The rules of a user account."""

import hmac
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from command_service.features.accounts.commands import (
    ChangePassword,
    ChangeProfile,
    OfferPasswordReset,
    RedeemPasswordReset,
    RegisterUser,
    ReinstateUser,
    SuspendUser,
    TellOfThrottling,
)
from shared_kernel.errors import ImpossibleHistory, NotFound, Refusal
from shared_kernel.events.accounts import (
    PasswordChanged,
    PasswordResetOffered,
    ProfileChanged,
    SignInsThrottled,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from shared_kernel.events.contract import Event

RESET_LIFETIME = timedelta(hours=1)
"""How long a code for another password counts."""
TOLD_EVERY = timedelta(hours=1)
"""How long one word about refused sign-ins is enough."""


@dataclass(frozen=True, slots=True)
class Reset:
    """With the code of this hash another password may be chosen until it expires."""

    code_hash: str
    expires_at: datetime

    def counts(self, code_hash: str, now: datetime) -> bool:
        return hmac.compare_digest(self.code_hash, code_hash) and now < self.expires_at


@dataclass(frozen=True, slots=True)
class User:
    """An account as its events have made it; `suspended_for` is why its user is not let in, if so."""

    user_id: UUID
    password_hash: str = field(repr=False)
    email: str = field(default="", compare=False, repr=False)
    """What an authenticator app shows, and what no password may be; it decides nothing else."""
    name: str = field(default="", compare=False, repr=False)
    suspended_for: str | None = field(default=None, repr=False)
    reset: Reset | None = field(default=None, repr=False)

    @property
    def suspended(self) -> bool:
        return self.suspended_for is not None

    def resets_with(self, code_hash: str, now: datetime) -> bool:
        """Whether the code of this hash lets its holder choose another password."""
        return self.reset is not None and self.reset.counts(code_hash, now)


class EmailAlreadyRegistered(Refusal):
    """Somebody has registered with this e-mail address; sign in, or use another one."""


class InvitationNeeded(Refusal):
    """Whoever registers in this tenant needs an invitation; ask one of its administrators for a code."""

    status = 403


class InvitationNotAccepted(Refusal):
    """The invitation does not count: it was used, was withdrawn or has expired, or there never was one."""

    status = 403


class WrongPassword(Refusal):
    """The current password is not right."""

    status = 403


class OwnAccountIsNotSuspended(Refusal):
    """Nobody suspends themselves; ask another administrator."""


def register_user(nothing: None, command: RegisterUser, now: datetime) -> tuple[Event, ...]:
    return (
        UserRegistered(
            user_id=command.user_id,
            email=command.email,
            name=command.name,
            password_hash=command.password_hash,
        ),
    )


def change_password(user: User, command: ChangePassword, now: datetime) -> tuple[Event, ...]:
    """Of two changes at once the second was checked against a password that counts no more."""
    if user.password_hash != command.checked_hash:
        raise WrongPassword
    return (PasswordChanged(user_id=user.user_id, password_hash=command.password_hash),)


def offer_reset(user: User | None, command: OfferPasswordReset, now: datetime) -> tuple[Event, ...]:
    """A code that was offered before counts no more."""
    if user is None:
        raise NotFound
    return (PasswordResetOffered(user_id=user.user_id, code_hash=command.code_hash, expires_at=now + RESET_LIFETIME),)


def redeem_reset(user: User | None, command: RedeemPasswordReset, now: datetime) -> tuple[Event, ...]:
    if user is None or user.suspended or not user.resets_with(command.code_hash, now):
        raise WrongPassword
    return (PasswordChanged(user_id=user.user_id, password_hash=command.password_hash),)


def change_profile(user: User, command: ChangeProfile, now: datetime) -> tuple[Event, ...]:
    if command.name is None or command.name == user.name:
        return ()
    return (ProfileChanged(user_id=user.user_id, name=command.name),)


def suspend_user(user: User, command: SuspendUser, now: datetime) -> tuple[Event, ...]:
    if command.by == user.user_id:
        raise OwnAccountIsNotSuspended
    if user.suspended_for == command.reason:
        return ()
    return (UserSuspended(user_id=user.user_id, reason=command.reason),)


def reinstate_user(user: User, command: ReinstateUser, now: datetime) -> tuple[Event, ...]:
    return (UserReinstated(user_id=user.user_id),) if user.suspended else ()


def evolve(user: User | None, event: Event) -> User:
    """The user after one more event of their stream."""
    if user is None and isinstance(event, UserRegistered):
        return User(event.user_id, event.password_hash, event.email, event.name)
    if user is None:
        raise ImpossibleHistory
    match event:
        case PasswordChanged():
            return replace(user, password_hash=event.password_hash, reset=None)
        case PasswordResetOffered():
            return replace(user, reset=Reset(event.code_hash, event.expires_at))
        case ProfileChanged():
            return replace(user, name=event.name)
        case UserSuspended():
            return replace(user, suspended_for=event.reason)
        case UserReinstated():
            return replace(user, suspended_for=None)
    raise ImpossibleHistory


@dataclass(frozen=True, slots=True)
class Alerts:
    """When a user was last told that sign-ins were refused."""

    told_at: datetime


def tell_of_throttling(alerts: Alerts | None, command: TellOfThrottling, now: datetime) -> tuple[Event, ...]:
    if alerts is not None and now - alerts.told_at < TOLD_EVERY:
        return ()
    return (SignInsThrottled(user_id=command.user_id, throttled_at=now),)


def evolve_alerts(alerts: Alerts | None, event: Event) -> Alerts:
    """What a user has been told after one more event of the stream."""
    if isinstance(event, SignInsThrottled):
        return Alerts(event.throttled_at)
    raise ImpossibleHistory
