"""Who counts: Redis for all processes, and this process alone while Redis is away or there is none."""

from collections.abc import Sequence

from shared_kernel.rates.local import LocalBuckets
from shared_kernel.rates.quota import Charge, Level
from shared_kernel.rates.shared import NobodyCounts, SharedBuckets


class Limiter:
    """Without `shared` this process is alone, and its own buckets are all there is to know."""

    def __init__(self, shared: SharedBuckets | None, local: LocalBuckets) -> None:
        self._shared = shared
        self._local = local

    @classmethod
    def at(cls, redis_url: str | None, processes: int) -> "Limiter":
        """Nothing is connected yet. `processes` share the quotas while Redis is away."""
        shared = None if redis_url is None else SharedBuckets.at(redis_url)
        return cls(shared, LocalBuckets(processes))

    async def take(self, charges: Sequence[Charge], *, closed: bool = False) -> list[Level]:
        """Pays all charges, or none.

        With `closed`, for what can be guessed, it raises NobodyCounts while Redis is away: every process that counted
        alone would multiply the guesses.
        """
        if self._shared is None:
            return self._local.take(charges)
        try:
            return await self._shared.take(charges)
        except NobodyCounts:
            if closed:
                raise
            return self._local.take(charges)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()
