"""What the projector tells its operators: reasons for not being ready, and figures per projection."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from query_service.projector.census import Standing
from query_service.projector.folding import Parked
from query_service.projector.parking import ParkedStream
from shared_kernel.clock import Clock, microseconds
from shared_kernel.messaging.mark import Mark
from shared_kernel.observability import Metrics, get_logger

CHECKS = (
    "database",
    "redis",
    "vault",
    "feed",
    "mark",
    "partitions",
    "projections",
    "parked",
    "operations",
    "completeness",
)
SILENT_AFTER = 10.0
"""Seconds without a new mark after which the relay is taken for stopped."""


Place = tuple[str, int]
"""A projection and a partition."""


@dataclass(frozen=True, slots=True)
class Sight:
    """When a place was last seen to be level, or, until it is, when it was first seen; and where it was then."""

    at: float
    position: int
    level: bool


class Status:
    """Reasons by check (empty: fine), each logged once when it changes, and the projector's metrics."""

    def __init__(self, metrics: Metrics, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.mark: Mark | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._reasons = dict.fromkeys(CHECKS, "")
        self._mark_seen = monotonic()
        self._sights: dict[Place, Sight] = {}
        self._log = get_logger()
        self.handled = metrics.counter("projector_handled", "Events whose checkpoint was moved past them.")
        self.batches = metrics.counter("projector_batches", "Transactions committed.")
        self.fenced = metrics.counter("projector_fenced", "Batches thrown away because another process was faster.")
        self.partitions = metrics.gauge("projector_partitions", "Partitions that this process works on.")
        self._parked = metrics.gauge("projector_parked_streams", "Streams that stand still.", ("projection",))
        self._parked_events = metrics.counter("projector_parked_events", "Events set aside.", ("projection",))
        self._incomplete = metrics.gauge(
            "projector_incomplete_places", "Places where a read model is not as the log says.", ("projection",)
        )
        self._lag = metrics.gauge("projector_lag_positions", "Positions behind the published log.", ("projection",))
        self._lag_seconds = metrics.gauge(
            "projector_lag_seconds", "Age of the oldest event that is not handled yet.", ("projection",)
        )

    def report(self, check: str, reason: str) -> None:
        """An empty reason: this is fine now."""
        if reason == self._reasons[check]:
            return
        self._reasons[check] = reason
        if reason:
            self._log.error("projector needs attention", check=check, reason=reason)
        else:
            self._log.info("projector goes on", check=check)

    def marked(self, mark: Mark | None) -> None:
        """The mark as it was last read."""
        if mark is not None and mark != self.mark:
            self.mark = mark
            self._mark_seen = self._monotonic()
        silent = self._monotonic() - self._mark_seen > SILENT_AFTER
        self.report("mark", "The relay has not written its mark for a while; is it running?" if silent else "")

    def parked(self, name: str, event: Parked) -> None:
        """An event was set aside just now."""
        self._parked_events.labels(name).inc()
        self._log.error(
            "event parked",
            projection=name,
            position=event.row.position,
            stream=event.row.stream,
            topic=event.row.topic,
            reason=event.trouble.reason,
            fingerprint=event.trouble.fingerprint,
        )

    def parked_streams(self, streams: Sequence[ParkedStream], projections: Sequence[str]) -> None:
        """Everything that stands still in the whole query database."""
        for name in projections:
            self._parked.labels(name).set(sum(stream.projection == name for stream in streams))
        if not streams:
            self.report("parked", "")
            return
        first = streams[0]
        self.report(
            "parked",
            f"{len(streams)} parked, the oldest for {first.projection} at position {first.position} "
            f"({first.topic}: {first.reason}); see `twinlog parked list`",
        )

    def incomplete(self, places: Mapping[str, int], projections: Sequence[str]) -> None:
        """In how many places each read model, or the audit copy, is not as the log says."""
        for name in {*projections, *places}:
            self._incomplete.labels(name).set(places.get(name, 0))

    def lags(self, standing: Sequence[Standing]) -> None:
        """Compute the lag of each live projection from where it stands in each partition."""
        if self.mark is None or any(place.partition >= len(self.mark.last) for place in standing):
            return  # a mark of another log says nothing about this one; whoever follows the log says so
        self._look(standing, self.mark)
        positions: dict[str, int] = {}
        seconds: dict[str, float] = {}
        for place in standing:
            watermark = self.mark.watermark(place.partition, place.position)
            positions[place.projection] = max(positions.get(place.projection, 0), self.mark.head - watermark)
            seconds[place.projection] = max(seconds.get(place.projection, 0.0), self._seconds(place))
        for name, value in positions.items():
            self._lag.labels(name).set(max(0, value))
            self._lag_seconds.labels(name).set(seconds[name])

    async def readiness(self) -> Mapping[str, str]:
        return dict(self._reasons)

    def _look(self, standing: Sequence[Standing], mark: Mark) -> None:
        """What is worked on by others now is forgotten: they may take it anywhere."""
        known, now = self._sights, self._monotonic()
        self._sights = {}
        for place in standing:
            key, level = (place.projection, place.partition), place.position >= mark.last[place.partition]
            seen = None if level else known.get(key)
            self._sights[key] = seen or Sight(now, place.position, level)

    def _seconds(self, place: Standing) -> float:
        """The oldest unhandled event came after the last handled one, and not before we last saw that there was none.

        While we have seen neither, it is as old as our own look: a log that was silent for a day has no old events.
        """
        sight = self._sights[place.projection, place.partition]
        since_handled = since_seen = math.inf
        if place.recorded_at is not None:
            since_handled = (microseconds(self._clock.now()) - place.recorded_at) / 1_000_000
        if sight.level or place.recorded_at is None or place.position == sight.position:
            since_seen = self._monotonic() - sight.at
        return max(0.0, min(since_handled, since_seen))
