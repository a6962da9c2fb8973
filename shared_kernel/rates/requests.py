"""The limits of every request: by address before anybody is known, then by user and by tenant."""

import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from uuid import UUID

from starlette.requests import Request

from shared_kernel.auth.principal import Principal
from shared_kernel.errors import RateLimited
from shared_kernel.observability import Metrics
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.quota import MICROSECONDS, Charge, Level, Quota, refused
from shared_kernel.rates.storms import Storms

FIELDS_KEY = "twinlog.rate-fields"
"""Where in a request's scope raw headers about its limits are left for whatever answer there will be."""
TENANT = "tenant"
IPV6_BITS = 64
"""One subscriber has at least so many addresses; counting each would count nothing."""
MAX_REMEMBERED = 16_384
LOOK_EVERY = 1.0
"""Seconds between two looks for refusals that are over: no storm of further callers may pay for one each."""


@dataclass(frozen=True, slots=True)
class RequestQuotas:
    """What an address, a user and a tenant may ask for; None for no limit."""

    address: Quota | None
    user: Quota | None
    tenant: Quota | None

    @classmethod
    def parse(cls, *, address: str, user: str, tenant: str) -> "RequestQuotas":
        """Raises ValueError."""
        return cls(Quota.parse("address", address), Quota.parse("user", user), Quota.parse(TENANT, tenant))


class Pseudonyms:
    """Stands for addresses by HMACs under a key of the pair, so that nothing which is kept names a person."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def of(self, address: str) -> str:
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            digest = hmac.digest(self._key, _network(address).encode(), hashlib.sha256)
            known = self._known[address] = digest[:16].hex()
        return known


class RequestRates:
    """Counts requests; raises RateLimited with what a caller needs to know.

    Whoever is refused is remembered for as long as it lasts, so that a storm of requests asks nobody: neither Redis
    nor, for an address, the check of a token. Keys are HMACs, so that Redis holds no address.
    """

    def __init__(
        self, service: str, limiter: Limiter, quotas: RequestQuotas, pseudonyms: Pseudonyms, metrics: Metrics
    ) -> None:
        self._service = service
        self._pseudonyms = pseudonyms
        self.limiter = limiter
        self._quotas = quotas
        self._storms = Storms(metrics)
        self._blocked: dict[tuple[str, str], tuple[float, Level]] = {}
        self._looked = float("-inf")
        self._known: dict[tuple[UUID, str, str, int], Sequence[Charge]] = {}

    def refuse_known(self, request: Request) -> None:
        """Raises RateLimited for an address whose refusal lasts."""
        if self._blocked:
            charge = self._of_address(request, 1)
            self._refuse_blocked([charge] if charge else [])

    async def admit(self, request: Request, principal: Principal, cost: int) -> None:
        """Charge somebody who is known: their address, themselves and their tenant, in one call."""
        await self._pay(request, self._of_somebody(request, principal, cost))

    async def admit_stranger(self, request: Request, cost: int) -> None:
        """Charge the address of somebody who is not (or not yet) known."""
        charge = self._of_address(request, cost)
        await self._pay(request, [charge] if charge else [])

    async def _pay(self, request: Request, charges: Sequence[Charge]) -> None:
        if not charges:
            return
        if self._blocked:
            self._refuse_blocked(charges)
        levels = await self.limiter.take(charges)
        over = refused(levels)
        if over is not None:
            self._remember(over)
            raise self._refusal(over)
        if levels[0].charge.quota.name != TENANT:  # what the others have used up is nobody's business
            request.scope[FIELDS_KEY] = fields(levels[0])

    def _of_somebody(self, request: Request, principal: Principal, cost: int) -> Sequence[Charge]:
        """They depend on nothing but these four, so they are made once for all requests of somebody."""
        client = request.scope.get("client")
        whose = (principal.user_id, principal.tenant, client[0] if client else "", cost)
        known = self._known.get(whose)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[whose] = self._made_for(request, principal, cost)
        return known

    def _made_for(self, request: Request, principal: Principal, cost: int) -> Sequence[Charge]:
        """The caller's own quota first: it is the one that they are told of."""
        charges = []
        if self._quotas.user is not None:
            charges.append(Charge(self._quotas.user, f"{self._service}:{principal.user_id}", cost))
        if (address := self._of_address(request, cost)) is not None:
            charges.append(address)
        if self._quotas.tenant is not None:
            charges.append(Charge(self._quotas.tenant, f"{self._service}:{principal.tenant}", cost))
        return charges

    def _of_address(self, request: Request, cost: int) -> Charge | None:
        if self._quotas.address is None:
            return None
        client = request.scope.get("client")
        return Charge(self._quotas.address, f"{self._service}:{self._pseudonyms.of(client[0] if client else '')}", cost)

    def _refuse_blocked(self, charges: Sequence[Charge]) -> None:
        now = time.monotonic()
        for charge in charges:
            until, level = self._blocked.get((charge.quota.name, charge.key), (0.0, None))
            if level is None:
                continue
            if until > now:
                left = int((until - now) * MICROSECONDS)
                raise self._refusal(Level(level.charge, left, level.full_in))
            del self._blocked[(charge.quota.name, charge.key)]

    def _remember(self, level: Level) -> None:
        """For as long as even the cheapest request would be refused; dearer ones ask again."""
        quota = level.charge.quota
        lasting = level.wait - (level.charge.units - 1) * quota.interval
        now = time.monotonic()
        if lasting > 0 and self._has_room(now):
            self._blocked[(quota.name, level.charge.key)] = now + lasting / MICROSECONDS, level

    def _has_room(self, now: float) -> bool:
        """Whoever never asks again would be remembered for ever."""
        if len(self._blocked) >= MAX_REMEMBERED and now - self._looked >= LOOK_EVERY:
            self._blocked = {key: kept for key, kept in self._blocked.items() if kept[0] > now}
            self._looked = now
        return len(self._blocked) < MAX_REMEMBERED

    def _refusal(self, level: Level) -> RateLimited:
        self._storms.refused(level.charge.quota.name)
        return refusal(level)


def refusal(level: Level) -> RateLimited:
    """The refusal by a quota, with the fields that tell of it."""
    error = RateLimited(retry_after=level.retry_after)
    error.headers = {**error.headers, **_said(level)}
    return error


def fields(level: Level) -> list[tuple[bytes, bytes]]:
    """The RateLimit fields (draft-ietf-httpapi-ratelimit-headers) as raw headers."""
    return [(b"ratelimit-policy", _policy(level.charge.quota).encode()), (b"ratelimit", _state(level).encode())]


def _said(level: Level) -> Mapping[str, str]:
    return {"RateLimit-Policy": _policy(level.charge.quota), "RateLimit": _state(level)}


def _policy(quota: Quota) -> str:
    return f'"{quota.name}";q={quota.amount};w={quota.seconds}'


def _state(level: Level) -> str:
    """`t` is the time until all of the quota is back or, when nothing is left, until something is."""
    left = 0 if level.wait else level.left
    seconds = level.retry_after if level.wait else -(-level.full_in // MICROSECONDS)
    return f'"{level.charge.quota.name}";r={left};t={seconds}'


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed.packed, IPV6_BITS), strict=False)) if parsed.version == 6 else str(parsed)
