"""The way into the command API: who is asking, and whether their roles open this route at all."""

from fastapi import Request

from shared_kernel.auth.claims import TokenRefused
from shared_kernel.auth.denials import DenialList
from shared_kernel.auth.elevation import StepUp, require_elevation
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import TokenVerifier
from shared_kernel.clock import Clock
from shared_kernel.errors import Unauthenticated
from shared_kernel.feature import Permission
from shared_kernel.rates.requests import RequestRates

SCHEME = "bearer "


class CommandGate:
    """Verifies access tokens with the keys of this process; what a single object needs is asked once it is loaded."""

    def __init__(
        self,
        verifier: TokenVerifier,
        outside: OutsideIssuers,
        *,
        policies: PolicyEngine,
        denials: DenialList,
        rates: RequestRates,
        clock: Clock,
    ) -> None:
        self._verifier = verifier
        self._outside = outside
        self._rates = rates
        self._policies = policies
        self._denials = denials
        self._clock = clock

    async def admit(self, request: Request, permission: Permission, cost: int) -> Principal:
        """Raises RateLimited, Unauthenticated, Forbidden, or ServiceUnavailable while ended sessions are not known."""
        self._rates.refuse_known(request)
        try:
            principal = await self._authenticated(request)
        except Unauthenticated:
            await self._rates.admit_stranger(request, cost)
            raise
        await self._rates.admit(request, principal, cost)
        self._denials.refuse(principal)
        self._policies.admit(principal, permission)
        return principal

    def require_elevation(self, principal: Principal, step_up: StepUp) -> None:
        require_elevation(principal, step_up, self._clock.now())

    async def pass_public(self, request: Request, cost: int) -> None:
        """Anybody may pass, but not as often as they like. Raises RateLimited."""
        await self._rates.admit_stranger(request, cost)

    async def close(self) -> None:
        await self._outside.close()

    async def _authenticated(self, request: Request) -> Principal:
        given = request.headers.get("authorization", "")
        if not given.lower().startswith(SCHEME):
            raise Unauthenticated
        token, now = given[len(SCHEME) :].strip(), self._clock.now()
        try:
            return self._verifier.verify(token, now).principal
        except TokenRefused:
            if not self._outside.knows(token):
                raise
            return await self._outside.verify(token, now)
