"""The way into an API: how often one may ask, who is asking, and whether their roles open this route at all."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from fastapi import Request

from shared_kernel.auth.claims import TokenRefused
from shared_kernel.auth.denials import DenialList
from shared_kernel.auth.elevation import StepUp, require_elevation
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import VerifiedToken
from shared_kernel.clock import Clock
from shared_kernel.errors import Unauthenticated
from shared_kernel.feature import Permission
from shared_kernel.rates.requests import RequestRates

SCHEME = "bearer "

Verify = Callable[[str, datetime], Awaitable[VerifiedToken]]
"""What a service does with a token of our own: it raises TokenRefused, or ServiceUnavailable without keys."""


class Gate:
    """One way in for both services; what a single object needs is asked once it is loaded.

    `verify` knows our own tokens, `outside` those of other issuers.
    """

    def __init__(
        self,
        verify: Verify,
        outside: OutsideIssuers,
        *,
        policies: PolicyEngine,
        denials: DenialList,
        rates: RequestRates,
        clock: Clock,
    ) -> None:
        self._verify = verify
        self._outside = outside
        self._rates = rates
        self._policies = policies
        self._denials = denials
        self._clock = clock

    async def admit(self, request: Request, permission: Permission, cost: int) -> Principal:
        """Raises RateLimited, Unauthenticated, Forbidden, or ServiceUnavailable when there are no keys to check a token
        with, or when it is not known which sessions have ended.
        """
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
            return (await self._verify(token, now)).principal
        except TokenRefused:
            if not self._outside.knows(token):
                raise
            return await self._outside.verify(token, now)
