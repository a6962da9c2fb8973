"""What the relay tells its operators: reasons for not being ready, and figures."""

from collections.abc import Mapping

from shared_kernel.observability import Metrics, get_logger

CHECKS = ("database", "redis", "log")


class Status:
    """Reasons by check (empty: fine), each logged once when it changes, and the relay's metrics."""

    def __init__(self, metrics: Metrics) -> None:
        self._reasons = dict.fromkeys(CHECKS, "")
        self._log = get_logger()
        self.published = metrics.counter("relay_published", "Events published on Redis Streams.")
        self.leader = metrics.gauge("relay_leader", "1 while this process is the one that publishes.")
        self.refused = metrics.gauge("relay_refused", "1 while publishing is refused because log and Redis disagree.")
        self.lag = metrics.gauge("relay_lag_positions", "Events in the log that are not published yet.")
        self.lag_seconds = metrics.gauge("relay_lag_seconds", "Age of the oldest event that is not published yet.")

    def report(self, check: str, reason: str) -> None:
        """An empty reason: this is fine now."""
        if reason == self._reasons[check]:
            return
        self._reasons[check] = reason
        self.refused.set(bool(self._reasons["log"]))
        if reason:
            self._log.error("relay cannot publish", check=check, reason=reason)
        else:
            self._log.info("relay goes on", check=check)

    def led(self, leading: bool) -> None:
        if leading:
            self._log.info("relay leads")
        self.leader.set(leading)

    def behind(self, positions: int, seconds: float) -> None:
        self.lag.set(max(0, positions))
        self.lag_seconds.set(max(0.0, seconds))

    async def readiness(self) -> Mapping[str, str]:
        """A standby is ready: it has nothing to do but wait for its turn."""
        return dict(self._reasons)
