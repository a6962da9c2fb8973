"""What operators hear of refusals: every one in a metric, and a storm of them in one log line a minute."""

import time
from collections.abc import Callable

from shared_kernel.observability import Metrics, get_logger

EVERY = 60.0

_log = get_logger("rates")


class Storms:
    """Counts refusals by quota in the metric `twinlog_rate_limited`; no line and no label names who was refused."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._refusals = metrics.counter("rate_limited", "Refusals by a rate limit.", ("quota",))
        self._clock = clock
        self._unsaid: dict[str, int] = {}
        self._said_at: dict[str, float] = {}

    def refused(self, quota: str) -> None:
        """One more."""
        self._refusals.labels(quota).inc()
        self._unsaid[quota] = self._unsaid.get(quota, 0) + 1
        if self._clock() - self._said_at.get(quota, float("-inf")) >= EVERY:
            self._said_at[quota] = self._clock()
            _log.warning("a rate limit refuses", quota=quota, refusals=self._unsaid.pop(quota))
