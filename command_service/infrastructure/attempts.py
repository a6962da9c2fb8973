"""How often somebody may try to prove who they are: guessing must be slow, and nobody be locked out by a stranger.

Attempts are counted three times: on one account from one network, closely; on one account from everywhere; and from
one network on whatever account, for passwords that were stolen elsewhere are tried once each. A stranger who guesses
uses up what their own network may try; only a crowd uses up the rest. What is right is forgiven at once.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared_kernel.auth.secrets import derive
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import Metrics, get_logger
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.quota import Charge, Quota, refused
from shared_kernel.rates.requests import refusal
from shared_kernel.rates.storms import Storms

_log = get_logger("attempts")


@dataclass(frozen=True, slots=True)
class AttemptQuotas:
    """`sign_in`: attempts on one account from one network; `account`: on one account from everywhere; `network`: from
    one network on any account; `proof`: codes of one user's second factor, whose guesses the log itself bounds much
    more closely. None for no limit.
    """

    sign_in: Quota | None
    account: Quota | None
    network: Quota | None
    proof: Quota | None

    @classmethod
    def parse(cls, **quotas: str) -> "AttemptQuotas":
        """Raises ValueError."""
        return cls(**{name: Quota.parse(name.replace("_", "-"), text) for name, text in quotas.items()})


class Attempts:
    """Counts attempts where all processes do, so that more processes do not mean more attempts."""

    def __init__(self, limiter: Limiter, quotas: AttemptQuotas, secret: bytes, metrics: Metrics) -> None:
        self._key = derive(secret, "attempts")
        self._limiter = limiter
        self._quotas = quotas
        self._storms = Storms(metrics)

    async def count(self, tenant: str, whose: str, network: str | None = None) -> None:
        """Raises RateLimited after too many, and NobodyCounts when they cannot be counted."""
        await self._pay(self._charges(tenant, whose, network, 1))

    async def count_code(self, tenant: str, user_id: UUID) -> None:
        """The same for a code of a user's second factor."""
        await self._pay([] if self._quotas.proof is None else [Charge(self._quotas.proof, f"{tenant}:{user_id}")])

    async def forgive(self, tenant: str, whose: str, network: str | None = None) -> None:
        """The attempt was right. When nobody can be told, it stays counted."""
        try:
            await self._limiter.take(self._charges(tenant, whose, network, -1))
        except TwinlogError as error:
            _log.info("an attempt stays counted", problem=error.code())

    async def _pay(self, charges: Sequence[Charge]) -> None:
        over = refused(await self._limiter.take(charges, closed=True))
        if over is not None:
            self._storms.refused(over.charge.quota.name)
            raise refusal(over)

    def _charges(self, tenant: str, whose: str, network: str | None, cost: int) -> list[Charge]:
        account, near = self._named(tenant, whose), self._named(tenant, whose, network or "")
        found = [(self._quotas.sign_in, near), (self._quotas.account, account)]
        if network is not None:
            found.append((self._quotas.network, self._named(network)))
        return [Charge(quota, key, cost) for quota, key in found if quota is not None]

    def _named(self, *words: str) -> str:
        """A name that says nothing: whoever reads Redis learns neither accounts nor networks."""
        return hmac.digest(self._key, "\0".join(words).encode(), hashlib.sha256)[:16].hex()
