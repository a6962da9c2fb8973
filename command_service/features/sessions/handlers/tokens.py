"""From a sign-in, a refresh token or a step-up to an access token, and from a token to its session's end."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from command_service.features.sessions.commands import (
    ElevateSession,
    Origin,
    Refresh,
    RefreshSession,
    SignIn,
    StartSession,
    StepUpProof,
    TokenForm,
)
from command_service.features.sessions.domain.refusals import (
    InvalidGrant,
    RefreshTokenReused,
    SessionOver,
    StepUpRefused,
    grant_of,
)
from command_service.features.sessions.domain.session import Session, elevate_session, refresh_session
from command_service.features.sessions.handlers.ports import AccessToken, Credentials, RoleBook, Token
from command_service.features.sessions.handlers.sessions import SESSIONS, SessionHandlers
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from command_service.infrastructure.refresh_tokens import RefreshToken, RefreshTokens
from shared_kernel.auth.elevation import ELEVATED, MAX_AGE
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import TokenSigner, TokenVerifier
from shared_kernel.errors import Unauthenticated
from shared_kernel.events.sessions import SessionEnded

PASSWORD_ONLY = "aal1"  # noqa: S105 - an authentication assurance level (NIST SP 800-63B), not a password
TWO_FACTORS = "aal2"
OTP = "otp"


class SecondFactors(Protocol):
    """Whoever knows whether a user has a second factor, and whether a code is right."""

    async def methods_of_sign_in(self, tenant: str, user_id: UUID, otp: str) -> tuple[str, ...]: ...

    async def methods_of_step_up(self, tenant: str, user_id: UUID, otp: str) -> tuple[str, ...]: ...


class TokenHandlers:
    """Carries out what can be asked of the token endpoint, of revocation and of step-up."""

    def __init__(
        self,
        execution: Execution,
        *,
        sessions: SessionHandlers,
        credentials: Credentials,
        factors: SecondFactors,
        roles: RoleBook,
        signer: TokenSigner,
        refresh_tokens: RefreshTokens,
    ) -> None:
        self._execution = execution
        self._sessions = sessions
        self._credentials = credentials
        self._factors = factors
        self._roles = roles
        self._signer = signer
        self._verifier = TokenVerifier(signer.keys, signer.issuer)
        self._refresh_tokens = refresh_tokens

    async def issue_token(self, form: TokenForm, tenant: str, origin: Origin) -> Token:
        """Raises InvalidRequest, UnsupportedGrantType or InvalidGrant. A refresh token knows its tenant itself."""
        match grant_of(form):
            case SignIn() as sign_in:
                return await self._sign_in(sign_in, tenant, origin)
            case Refresh() as refresh:
                return await self._refresh(refresh)

    async def revoke(self, token: str) -> None:
        """End the session of a refresh token or an access token; nothing happens for what is no token (any more)."""
        refresh_token = self._refresh_tokens.parse(token)
        if refresh_token is not None:
            session = await self._sessions.session(refresh_token.tenant, refresh_token.session_id)
            known = session is not None and refresh_token.hash in {session.current, session.previous}
            tenant = refresh_token.tenant
        else:
            session, tenant, known = await self._session_of_access_token(token)
        if session is not None and known:
            await self._sessions.end_by_token(session, tenant, "revoked")

    async def step_up(self, proof: StepUpProof, principal: Principal) -> AccessToken:
        """A short-lived token for what needs fresh proof. Raises StepUpRefused, or Unauthenticated for a session
        that is over.
        """
        tenant, user_id = principal.tenant, principal.user_id
        session = await self._sessions.session(tenant, principal.session_id)
        if session is None:
            raise Unauthenticated
        methods = await self._proven(proof, principal)
        work = SESSIONS.record(session.session_id, elevate_session, ElevateSession(methods))
        try:
            await self._execution.run(work, Call.of_user(tenant, user_id))
        except SessionOver:
            raise Unauthenticated from None
        return await self._access_token(session, tenant, elevated_at=self._execution.clock.now())

    async def _proven(self, proof: StepUpProof, principal: Principal) -> tuple[str, ...]:
        tenant, user_id = principal.tenant, principal.user_id
        otp = proof.otp.get_secret_value() if proof.otp else ""
        methods = await self._factors.methods_of_step_up(tenant, user_id, otp)
        if methods:
            return methods
        password = proof.password.get_secret_value() if proof.password else ""
        if not await self._credentials.has_password(tenant, user_id, password):
            raise StepUpRefused
        return ("pwd",)

    async def _sign_in(self, sign_in: SignIn, tenant: str, origin: Origin) -> Token:
        recognised = await self._credentials.user_with(
            tenant, sign_in.email, sign_in.password, origin.network, new_password=sign_in.new_password
        )
        if recognised is None:
            raise InvalidGrant
        user_id, mark = recognised
        methods = ("pwd", *await self._factors.methods_of_sign_in(tenant, user_id, sign_in.otp))
        if sign_in.new_password:
            mark = await self._reset(sign_in, tenant, user_id)
        session_id = self._execution.ids.new()
        first = self._refresh_tokens.first(tenant, session_id)
        command = StartSession(session_id, user_id, methods, 0, first.hash, origin)
        await self._sessions.start(command, tenant)
        session = await self._sessions.session(tenant, session_id)
        if session is None:
            raise SessionOver
        if not await self._credentials.still_counts(tenant, user_id, mark):  # else a session could slip in meanwhile
            await self._sessions.end_by_token(session, tenant, "not-let-in")
            raise InvalidGrant
        return await self._token(session, first)

    async def _reset(self, sign_in: SignIn, tenant: str, user_id: UUID) -> str:
        """Only now, when every factor has been shown. Whoever was signed in is so no more."""
        mark = await self._credentials.redeem(tenant, user_id, sign_in.password, sign_in.new_password)
        if mark is None:
            raise InvalidGrant
        await self._sessions.end_sessions_of(tenant, user_id, "password-reset")
        return mark

    async def _refresh(self, refresh: Refresh) -> Token:
        token = self._refresh_tokens.parse(refresh.token)
        session = None if token is None else await self._sessions.session(token.tenant, token.session_id)
        if token is None or session is None or not await self._credentials.is_let_in(token.tenant, session.user_id):
            raise SessionOver
        successor = self._refresh_tokens.successor(token)
        work = SESSIONS.record(session.session_id, refresh_session, RefreshSession(token.hash, successor.hash))
        answer = await self._execution.run(work, Call.of_user(token.tenant, session.user_id))
        if any(isinstance(event, SessionEnded) for event in answer.events):
            await self._sessions.announce_end()
            raise RefreshTokenReused
        return await self._token(session, successor)

    async def _token(self, session: Session, refresh_token: RefreshToken) -> Token:
        access = await self._access_token(session, refresh_token.tenant, elevated_at=session.elevated_at)
        return Token(**access.model_dump(), refresh_token=str(refresh_token))

    async def _access_token(self, session: Session, tenant: str, *, elevated_at: datetime | None) -> AccessToken:
        """Never valid for longer than its session, nor an elevated one for longer than its elevation."""
        two_factors = OTP in session.methods
        roles, version = await self._roles.roles_of(tenant, session.user_id, two_factors=two_factors)
        now = self._execution.clock.now()
        acr, proven_at = (TWO_FACTORS if two_factors else PASSWORD_ONLY), session.started_at
        left = (session.expires_at - now).total_seconds()
        if elevated_at is not None and (age := (now - elevated_at).total_seconds()) < MAX_AGE:
            acr, proven_at, left = ELEVATED, elevated_at, min(left, MAX_AGE - age)
        lifetime = max(1, min(self._signer.lifetime, int(left)))
        principal = Principal(
            session.user_id, tenant, session.session_id, roles, acr, int(proven_at.timestamp()), version
        )
        signed = self._signer.sign(principal, jti=str(self._execution.ids.new()), now=now, lifetime=lifetime)
        return AccessToken(access_token=signed, expires_in=lifetime)

    async def _session_of_access_token(self, token: str) -> tuple[Session | None, str, bool]:
        try:
            principal = self._verifier.verify(token, self._execution.clock.now()).principal
        except Unauthenticated:
            return None, "", False
        session = await self._sessions.session(principal.tenant, principal.session_id)
        return session, principal.tenant, session is not None
