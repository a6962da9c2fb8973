"""Quotas, and the generic cell rate algorithm (GCRA) that keeps to them.

A bucket is one number: the moment at which it will be full again (in the literature the theoretical arrival time). An
event moves that moment on by its share of the window, and is refused when the moment would come to lie further ahead
than the window is long. So a quota may be spent at once, and comes back evenly.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

MICROSECONDS = 1_000_000
MAX_SECONDS = 86_400
OFF = "off"

_TEXT = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})")


@dataclass(frozen=True, slots=True)
class Quota:
    """`amount` units in any `seconds`, by a name that callers are told."""

    name: str
    amount: int
    seconds: int

    @property
    def interval(self) -> int:
        """Microseconds after which one unit is there again."""
        return self.seconds * MICROSECONDS // self.amount

    @property
    def capacity(self) -> int:
        """Microseconds that the bucket holds: `amount` intervals, so that rounding takes nobody's last unit."""
        return self.interval * self.amount

    def shared_by(self, processes: int) -> "Quota":
        """The part of one of so many processes that cannot agree; at least one unit."""
        return Quota(self.name, max(1, self.amount // processes), self.seconds)

    @classmethod
    def parse(cls, name: str, text: str) -> "Quota | None":
        """`<amount>/<seconds>`, such as `100/60`; None for `off`. Raises ValueError."""
        if text == OFF:
            return None
        found = _TEXT.fullmatch(text)
        if found is None or int(found[2]) > MAX_SECONDS or int(found[1]) > int(found[2]) * MICROSECONDS:
            raise ValueError(f"must be <amount>/<seconds>, such as 100/60, or {OFF}")
        return cls(name, int(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class Charge:
    """Units to be taken from the bucket of one quota and key; negative ones are given back."""

    quota: Quota
    key: str
    cost: int = 1
    bucket: str = field(init=False, compare=False)
    units: int = field(init=False, compare=False)
    """Never more than the quota holds, or it could never be paid."""

    def __post_init__(self) -> None:
        # Worked out once: whoever asks often keeps their charges.
        object.__setattr__(self, "bucket", f"{self.quota.name}:{self.key}")
        object.__setattr__(self, "units", min(self.cost, self.quota.amount))


@dataclass(frozen=True, slots=True)
class Level:
    """What came of a charge: microseconds to `wait` until it could be paid (0: it was), and until all is back."""

    charge: Charge
    wait: int
    full_in: int

    @property
    def left(self) -> int:
        """Units that could be taken at once."""
        quota = self.charge.quota
        return max(0, (quota.capacity - self.full_in) // quota.interval)

    @property
    def retry_after(self) -> int:
        """Whole seconds after which the charge can be paid."""
        return max(1, ceil(self.wait / MICROSECONDS))


def refused(levels: Sequence[Level]) -> Level | None:
    """The level that refused, the one with the longest wait if there are several; None when all was paid."""
    waiting = [level for level in levels if level.wait > 0]
    return max(waiting, key=lambda level: level.wait) if waiting else None
