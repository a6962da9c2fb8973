"""Buckets in the memory of this process: for when nobody else can be asked, and for one process alone."""

import time
from collections.abc import Callable, Sequence

from shared_kernel.rates.quota import MICROSECONDS, Charge, Level

MAX_BUCKETS = 65_536
"""Beyond it the fuller half is forgotten: those that have the least to tell."""


class LocalBuckets:
    """The same arithmetic as the script's in `shared`; `processes` share each quota evenly."""

    def __init__(self, processes: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._processes = processes
        self._clock = clock
        self._full_at: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, charges: Sequence[Charge]) -> list[Level]:
        """Pays all charges, or none."""
        now = int(self._clock() * MICROSECONDS)
        own = [Charge(each.quota.shared_by(self._processes), each.key, each.cost) for each in charges]
        waits = [self._wait(charge, now) for charge in own]
        if not any(waits):
            self._pay(own, now)
        levels = zip(own, waits, strict=True)
        return [Level(charge, wait, self._full_at_of(charge, now) - now) for charge, wait in levels]

    def _wait(self, charge: Charge, now: int) -> int:
        full_at = self._full_at_of(charge, now) + charge.units * charge.quota.interval
        return max(0, full_at - now - charge.quota.capacity)

    def _pay(self, charges: Sequence[Charge], now: int) -> None:
        for charge in charges:
            full_at = self._full_at_of(charge, now) + charge.units * charge.quota.interval
            self._full_at[_name(charge)] = max(now, full_at)
        if len(self._full_at) > MAX_BUCKETS:
            emptiest = sorted(self._full_at.items(), key=lambda item: item[1], reverse=True)[: MAX_BUCKETS // 2]
            self._full_at = dict(emptiest)

    def _full_at_of(self, charge: Charge, now: int) -> int:
        return max(now, self._full_at.get(_name(charge), now))


def _name(charge: Charge) -> tuple[str, str]:
    return charge.quota.name, charge.key
