"""An account is opened, changed by its user, suspended and reinstated."""

from dataclasses import replace
from uuid import UUID

from command_service.features.accounts.commands import (
    ChangePassword,
    ChangeProfile,
    PasswordChange,
    ProfilePatch,
    RegisterUser,
    Registration,
    ReinstateUser,
    SuspendUser,
)
from command_service.features.accounts.domain import (
    EmailAlreadyRegistered,
    InvitationNeeded,
    InvitationNotAccepted,
    User,
    WrongPassword,
    change_password,
    change_profile,
    evolve,
    register_user,
    reinstate_user,
    suspend_user,
)
from command_service.features.accounts.handlers.ports import AddressBook, Admission, Attempts, SessionEnding
from command_service.features.accounts.permissions import CHANGE_PASSWORD, CHANGE_PROFILE, REINSTATE, SUSPEND
from command_service.infrastructure.aggregate import Aggregate, Claims, Work
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.passwords import Passwords
from shared_kernel.auth.policy import ObjectAttributes
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound, ReplayUnavailable
from shared_kernel.web.headers import IfMatch

PASSWORD_CHANGED = "password-changed"  # noqa: S105 - why sessions end, not a password
SUSPENDED = "suspended"


def attributes_of(user: User, tenant: str) -> ObjectAttributes:
    """What a policy may know of an account."""
    return ObjectAttributes(SUSPEND.kind, tenant, user.user_id)


USERS = Aggregate("users", evolve, attributes_of)


class AccountHandlers:
    """Carries out what can be asked of an account."""

    def __init__(
        self,
        execution: Execution,
        *,
        passwords: Passwords,
        addresses: AddressBook,
        admission: Admission,
        sessions: SessionEnding,
        attempts: Attempts,
    ) -> None:
        self._execution = execution
        self._passwords = passwords
        self._addresses = addresses
        self._admission = admission
        self._sessions = sessions
        self._attempts = attempts

    async def register(self, registration: Registration, call: Call, *, invited: bool = False) -> Answer:
        """With `invited` the tenant's own rule does not matter: somebody has decided already."""
        user_id = self._execution.ids.new()

        async def prepare() -> Work[User]:
            code = registration.invitation.get_secret_value()
            admitted = {} if invited else await self._admitted(call.tenant, code)
            return await self._opening(user_id, registration, call.tenant, admitted)

        return await self._execution.run_prepared(prepare, call.named(user_id))

    async def change_password(self, change: PasswordChange, principal: Principal, call: Call) -> Answer:
        """The user's other sessions end, also when a repeated request finds that it has been carried out."""

        async def prepare() -> Work[User]:
            checked, hashed = await self._checked(change, principal)
            work = USERS.change(principal.user_id, change_password, ChangePassword(checked, hashed), CHANGE_PASSWORD)
            return replace(work, secret=True)

        try:
            answer = await self._execution.run_prepared(prepare, call)
        except ReplayUnavailable:
            await self._end_sessions(principal.user_id, PASSWORD_CHANGED, call, spare=principal.session_id)
            raise
        await self._end_sessions(principal.user_id, PASSWORD_CHANGED, call, spare=principal.session_id)
        return answer

    async def change_profile(self, patch: ProfilePatch, principal: Principal, call: Call) -> Answer:
        command = ChangeProfile(patch.name if "name" in patch.model_fields_set else None)
        return await self._execution.run(USERS.change(principal.user_id, change_profile, command, CHANGE_PROFILE), call)

    async def suspend(self, user_id: UUID, reason: str, principal: Principal, call: Call) -> Answer:
        """Repeating it ends whatever session an interrupted suspension has left."""
        command = SuspendUser(principal.user_id, reason)
        answer = await self._execution.run(USERS.change(user_id, suspend_user, command, SUSPEND), call)
        await self._end_sessions(user_id, SUSPENDED, call)
        return answer

    async def reinstate(self, user_id: UUID, call: Call) -> Answer:
        return await self._execution.run(USERS.change(user_id, reinstate_user, ReinstateUser(), REINSTATE), call)

    async def _admitted(self, tenant: str, code: str) -> Claims:
        """Decided before the address is looked up: without an invitation nobody learns who is registered."""
        claims = await self._admission.claims_of_registration(tenant, code)
        if claims is None:
            raise InvitationNotAccepted if code else InvitationNeeded
        return {claim: InvitationNotAccepted() for claim in claims}

    async def _checked(self, change: PasswordChange, principal: Principal) -> tuple[str, str]:
        """The hash that the current password fits, and the hash of the new one. Raises WrongPassword, WeakPassword."""
        tenant, whose = principal.tenant, principal.actor
        user = (await self._execution.load(USERS, tenant, USERS.stream(principal.user_id))).state
        await self._attempts.count(tenant, whose)
        right = await self._passwords.verify(
            user.password_hash if user else None, change.current_password.get_secret_value()
        )
        if user is None or not right:
            raise WrongPassword
        await self._attempts.forgive(tenant, whose)
        wanted = change.new_password.get_secret_value()
        await self._passwords.refuse_weak(wanted, user.email, user.name, tenant)
        return user.password_hash, await self._passwords.hash(wanted)

    async def _end_sessions(self, user_id: UUID, reason: str, call: Call, *, spare: UUID | None = None) -> None:
        # The caller's condition was about the account, not about its sessions.
        await self._sessions.end_sessions_of(
            call.tenant, user_id, reason, call=replace(call, if_match=IfMatch()), spare=spare
        )

    async def _opening(self, user_id: UUID, registration: Registration, tenant: str, admitted: Claims) -> Work[User]:
        password = registration.password.get_secret_value()
        await self._passwords.refuse_weak(password, registration.email, registration.name, tenant)
        email = self._addresses.key_of(tenant, registration.email)
        await self._refuse_in_vain(tenant, email)
        hashed = await self._passwords.hash(password)
        command = RegisterUser(user_id, registration.email, registration.name, hashed)
        claims = {
            **admitted,
            Claim(ClaimAction.REQUIRE, "tenant", tenant): no_tenant(tenant),
            Claim(ClaimAction.TAKE, "email", email): EmailAlreadyRegistered(),
            Claim(ClaimAction.TAKE, "user", str(user_id)): EmailAlreadyRegistered(),
        }
        return USERS.creation(user_id, register_user, command, claims=claims, location=f"/v1/users/{user_id}")

    async def _refuse_in_vain(self, tenant: str, email: str) -> None:
        """Not the decision, which the claims make, but it spares the hashing of what will be refused anyway."""
        if await self._execution.store.claim_holder(tenant, "tenant", tenant) is None:
            raise no_tenant(tenant)
        if await self._execution.store.claim_holder(tenant, "email", email) is not None:
            raise EmailAlreadyRegistered


def no_tenant(tenant: str) -> NotFound:
    return NotFound(f"There is no tenant {tenant}.")
