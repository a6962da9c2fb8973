"""How old the oldest published event is that a read model has not handled, as far as one process can know.

A process sees the end of the log move, and remembers when it first saw each end. Of what was there before it came it
knows only how long a checkpoint has stood still: the event that is due there is not older than that.
"""

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter

from shared_kernel.messaging.mark import Mark

MOST = 1024
"""How many ends of the log are remembered; beyond that, every second one of those in between is forgotten."""


class Lateness:
    """All times are of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.begun = False
        self._epoch = 0
        self._ends: list[tuple[int, float]] = []
        self._before: dict[str, tuple[int, float]] = {}

    def begin(self, head: int, since: Iterable[tuple[str, float]]) -> None:
        """For each projection that is behind: since when its checkpoint has stood still while the log was at `head`."""
        self.begun = True
        self._before = {name: (head, at) for name, at in since}

    def saw(self, mark: Mark, at: float) -> None:
        """The log ends here; another epoch is another log."""
        if mark.epoch != self._epoch:
            self._epoch, self._ends = mark.epoch, []
        if not self._ends or mark.head > self._ends[-1][0]:
            self._ends.append((mark.head, at))
        if len(self._ends) > MOST:
            del self._ends[1:-1:2]

    def handled(self, horizon: int) -> None:
        """Every projection has come as far as this: what was seen up to there is no longer needed."""
        del self._ends[: self._first_beyond(horizon)]

    def since(self, name: str, horizon: int) -> float | None:
        """Since when at least one event beyond the horizon has been there; None when none is known."""
        head, before = self._before.get(name, (0, 0.0))
        found = [before] if head > horizon else []
        found += [at for _, at in self._ends[self._first_beyond(horizon) :][:1]]
        return min(found, default=None)

    def _first_beyond(self, horizon: int) -> int:
        return bisect_right(self._ends, horizon, key=itemgetter(0))
