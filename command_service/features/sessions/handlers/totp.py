"""A second factor is set up, asked for and removed."""

import os
from base64 import b32encode
from dataclasses import replace
from urllib.parse import quote, urlencode
from uuid import UUID

from command_service.features.sessions.commands import ActivateTotp, EnrolTotp, RemoveTotp, UseOtp
from command_service.features.sessions.domain.refusals import CodeNotAccepted, SecondFactorNeeded, StepUpRefused
from command_service.features.sessions.domain.totp import (
    TooManyWrongCodes,
    WrongCode,
    activate_totp,
    enrol_totp,
    evolve_totp,
    matching_step,
    recovery_hash,
    remove_totp,
    use_otp,
)
from command_service.features.sessions.handlers.ports import AccountNames, CodeAttempts
from command_service.features.sessions.handlers.sessions import SessionHandlers
from command_service.infrastructure.aggregate import Aggregate
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from command_service.infrastructure.qr_code import svg_of
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import VersionConflict
from shared_kernel.events.sessions import RecoveryCodeUsed, TotpActivated, TotpCodeAccepted

TOTP = Aggregate("totp", evolve_totp)
ISSUER = "Twinlog"
SECRET_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_BYTES = 20
"""160 random bits: 32 letters and digits, in eight groups of four."""
ACCEPTED = (TotpCodeAccepted, RecoveryCodeUsed)


class TotpHandlers:
    """Carries out what can be asked of second factors."""

    def __init__(
        self,
        execution: Execution,
        names: AccountNames,
        sessions: SessionHandlers,
        attempts: CodeAttempts,
        *,
        steps: int = 2,
    ) -> None:
        self._execution = execution
        self._names = names
        self._sessions = sessions
        self._attempts = attempts
        self._steps = steps

    async def enrol(self, principal: Principal, call: Call) -> Answer:
        """The answer shows the new secret as text, as otpauth URI and as a picture to scan.

        Raises NotFound for a user of another issuer, who has no account here.
        """
        email = await self._names.email_of(principal.tenant, principal.user_id)
        secret = b32encode(os.urandom(SECRET_BYTES)).decode()
        work = TOTP.record(principal.user_id, enrol_totp, EnrolTotp(principal.user_id, secret))
        answer = await self._execution.run(replace(work, secret=True), call)
        uri = otpauth_uri(email, secret)
        return answer.saying(secret=secret, otpauth_uri=uri, qr_svg=svg_of(uri))

    async def activate(self, otp: str, principal: Principal, call: Call) -> Answer:
        """The answer shows the recovery codes, this once. The user's other sessions end."""
        await self._attempts.count_code(principal.tenant, principal.user_id)
        codes = [recovery_code() for _ in range(RECOVERY_CODES)]
        command = ActivateTotp(otp, tuple(recovery_hash(code) for code in codes), self._steps)
        work = TOTP.record(principal.user_id, activate_totp, command)
        if not await self._is_right(principal, otp):
            await self._execution.answered_before(call)  # a code is spent when its own request is repeated
            call = replace(call, idempotency_key=None)  # refused anew each time, although it leaves a trace
        answer = await self._execution.run(replace(work, secret=True), call)
        if not any(isinstance(event, TotpActivated) for event in answer.events):
            raise WrongCode
        spare = principal.session_id
        await self._sessions.end_sessions_of(principal.tenant, principal.user_id, "second-factor-added", spare=spare)
        return answer.saying(recovery_codes=codes)

    async def remove(self, principal: Principal, call: Call) -> Answer:
        """The user's other sessions end."""
        answer = await self._execution.run(TOTP.record(principal.user_id, remove_totp, RemoveTotp()), call)
        if answer.events:
            spare = principal.session_id
            await self._sessions.end_sessions_of(
                principal.tenant, principal.user_id, "second-factor-removed", spare=spare
            )
        return answer

    async def remove_of(self, user_id: UUID, call: Call) -> Answer:
        """On an operator's word, who knows that the user has lost every way to show a code. All their sessions end."""
        answer = await self._execution.run(TOTP.record(user_id, remove_totp, RemoveTotp()), call)
        if answer.events:
            await self._sessions.end_sessions_of(call.tenant, user_id, "second-factor-removed", call=call)
        return answer

    async def methods_of_sign_in(self, tenant: str, user_id: UUID, otp: str) -> tuple[str, ...]:
        """What the code adds to the password; nothing for an account without a second factor.

        Raises SecondFactorNeeded or CodeNotAccepted.
        """
        if not await self._is_active(tenant, user_id):
            return ()
        if not otp:
            raise SecondFactorNeeded
        if not await self._accepts(tenant, user_id, otp):
            raise CodeNotAccepted
        return ("otp", "mfa")

    async def methods_of_step_up(self, tenant: str, user_id: UUID, otp: str) -> tuple[str, ...]:
        """The same; empty for an account without a second factor. Raises StepUpRefused."""
        if not await self._is_active(tenant, user_id):
            return ()
        if not otp or not await self._accepts(tenant, user_id, otp):
            raise StepUpRefused
        return ("otp",)

    async def _is_right(self, principal: Principal, otp: str) -> bool:
        factor = (await self._execution.load(TOTP, principal.tenant, TOTP.stream(principal.user_id))).state
        return factor is not None and matching_step(factor, otp, self._execution.clock.now(), self._steps) is not None

    async def _is_active(self, tenant: str, user_id: UUID) -> bool:
        factor = (await self._execution.load(TOTP, tenant, TOTP.stream(user_id))).state
        return factor is not None and factor.active

    async def _accepts(self, tenant: str, user_id: UUID, otp: str) -> bool:
        """A code that many offer at once is one append's alone; a wrong one that meets others counts as wrong."""
        await self._attempts.count_code(tenant, user_id)
        work = TOTP.record(user_id, use_otp, UseOtp(otp, self._steps))
        try:
            answer = await self._execution.run(work, Call.of_user(tenant, user_id))
        except (TooManyWrongCodes, VersionConflict):
            return False
        return any(isinstance(event, ACCEPTED) for event in answer.events)


def otpauth_uri(account: str, secret: str) -> str:
    """What authenticator apps read from the picture."""
    query = urlencode({"secret": secret, "issuer": ISSUER, "algorithm": "SHA1", "digits": 6, "period": 30})
    return f"otpauth://totp/{ISSUER}:{quote(account)}?{query}"


def recovery_code() -> str:
    """Letters and digits that are hard to confuse, in groups of four."""
    text = b32encode(os.urandom(RECOVERY_BYTES)).decode()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
