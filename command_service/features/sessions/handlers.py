"""From a sign-in to an access token."""

from typing import Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from command_service.features.sessions.commands import StartSession, TokenForm
from command_service.features.sessions.domain import InvalidGrant, evolve, sign_in_with, start_session
from command_service.infrastructure.aggregate import Aggregate
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import TokenSigner

SESSIONS = Aggregate("sessions", evolve)
PASSWORD_ONLY = "aal1"  # noqa: S105 - an authentication assurance level (NIST SP 800-63B), not a password
PASSWORD_METHODS = ("pwd",)


class Credentials(Protocol):
    """Whoever can tell a right password from a wrong one."""

    async def user_with(self, tenant: str, email: str, password: str) -> UUID | None: ...


class RoleBook(Protocol):
    """Whoever knows the roles of a user."""

    async def roles_of(self, tenant: str, user_id: UUID) -> tuple[str, ...]: ...


class Token(BaseModel):
    """A successful answer of the token endpoint (RFC 6749, section 5.1); `expires_in` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"access_token": "eyJhbGciOi...", "token_type": "Bearer", "expires_in": 600}]}
    )

    access_token: str
    token_type: str
    expires_in: int


class SessionHandlers:
    """Carries out what can be asked of sessions."""

    def __init__(self, execution: Execution, credentials: Credentials, roles: RoleBook, signer: TokenSigner) -> None:
        self._execution = execution
        self._credentials = credentials
        self._roles = roles
        self._signer = signer

    async def issue_token(self, form: TokenForm, tenant: str) -> Token:
        """Raises InvalidRequest, UnsupportedGrantType or InvalidGrant."""
        sign_in = sign_in_with(form)
        user_id = await self._credentials.user_with(tenant, sign_in.email, sign_in.password)
        if user_id is None:
            raise InvalidGrant
        return await self._start(tenant, user_id)

    async def _start(self, tenant: str, user_id: UUID) -> Token:
        now, ids = self._execution.clock.now(), self._execution.ids
        command = StartSession(ids.new(), user_id, PASSWORD_METHODS)
        roles = await self._roles.roles_of(tenant, user_id)
        work = SESSIONS.creation(command.session_id, start_session, command)
        await self._execution.run(work, Call.of_user(tenant, user_id))
        principal = Principal(user_id, tenant, command.session_id, roles, PASSWORD_ONLY, int(now.timestamp()))
        signed = self._signer.sign(principal, jti=str(ids.new()), now=now)
        return Token(access_token=signed, token_type="Bearer", expires_in=self._signer.lifetime)  # noqa: S106 - RFC 6750
