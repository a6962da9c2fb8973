"""What operators see of the read models: which generation answers, how far each one is, what stands still."""

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from redis.exceptions import RedisError

from query_service.infrastructure.feed import Feed, FeedUnavailable
from query_service.infrastructure.rebuilds import REBUILDS, RebuildProgress, progress_of
from query_service.projector import checkpoints, generations, parking
from query_service.projector.checkpoints import Checkpoint, Unit
from query_service.projector.generations import Registered
from query_service.projector.parking import ParkedStream
from query_service.projector.shift import Tools
from shared_kernel.messaging.mark import MARK_KEY, Mark


@dataclass(frozen=True, slots=True)
class Overview:
    """One projection. `lag` counts positions of the published log; None while Redis does not tell the mark.

    `lag_seconds` is the age of the oldest event that is not handled; None while the feed does not tell it either.
    `rebuild_due` says that this release folds events differently than the live rows were made. `rebuild` is the last
    one that was left to the projector.
    """

    name: str
    active: str
    version: int
    rebuild_due: bool
    shadow: str | None
    horizon: int
    lag: int | None
    lag_seconds: float | None
    shadow_lag: int | None
    parked: int
    rebuild: RebuildProgress | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def overview(tools: Tools) -> Sequence[Overview]:
    """All projections that the query database knows."""
    versions = {projection.name: projection.version for projection in tools.projections}
    async with tools.pool.connection() as connection:
        known = await generations.registered(connection)
        _, partitions = await generations.installed(connection) or (0, 0)
        found = await checkpoints.read(connection, range(partitions))
        parked = await parking.streams(connection)
        rebuilds = await _rebuilds(connection)
    mark = await _mark(tools, partitions)
    ages = Ages(tools.feed, mark)
    return [
        _of(
            row,
            versions.get(row.name),
            found,
            parked,
            mark,
            seconds=await ages.oldest(found, row.live),
            rebuild=rebuilds.get(row.name),
        )
        for row in known.values()
    ]


class Ages:
    """How old the events are that wait; each is asked for once, however many projections wait for it."""

    def __init__(self, feed: Feed, mark: Mark | None) -> None:
        self._feed = feed
        self._mark = mark
        self._known: dict[tuple[int, int], float] = {}

    async def oldest(self, found: Sequence[Checkpoint], unit: Unit) -> float | None:
        """Seconds since the oldest event that the unit has not handled was recorded; 0 when it has handled all."""
        if self._mark is None:
            return None
        last = self._mark.last
        late = [each for each in found if each.unit == unit and each.position < last[each.partition]]
        try:
            return max([await self._age(each.partition, each.position) for each in late], default=0.0)
        except FeedUnavailable:
            return None

    async def _age(self, partition: int, position: int) -> float:
        """Of the first event after a position."""
        if (partition, position) not in self._known:
            upto = 0 if self._mark is None else self._mark.head
            async with aclosing(self._feed.read(partition, position, upto, 1, page=1)) as stretches:
                first = await anext(stretches, None)
            since = time.time() - first.rows[0].recorded_at / 1_000_000 if first else 0.0
            self._known[partition, position] = max(0.0, round(since, 3))
        return self._known[partition, position]


def _of(
    row: Registered,
    version: int | None,
    found: Sequence[Checkpoint],
    parked: Sequence[ParkedStream],
    mark: Mark | None,
    *,
    seconds: float | None,
    rebuild: RebuildProgress | None,
) -> Overview:
    live, shadow = _horizon(found, row.live, mark), _horizon(found, row.shadow, mark)
    return Overview(
        name=row.name,
        active=row.active,
        version=row.version,
        rebuild_due=version is not None and version != row.version,
        shadow=None if row.shadow_version is None else row.shadow.generation,
        horizon=live,
        lag=None if mark is None else max(0, mark.head - live),
        lag_seconds=seconds,
        shadow_lag=None if mark is None or row.shadow_version is None else max(0, mark.head - shadow),
        parked=sum(Unit(stream.projection, stream.generation) == row.live for stream in parked),
        rebuild=rebuild,
    )


async def _rebuilds(connection: AsyncConnection[Any]) -> Mapping[str, RebuildProgress]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(REBUILDS)
        return {row["projection"]: progress_of(row) for row in await cursor.fetchall()}


def _horizon(found: Sequence[Checkpoint], unit: Unit, mark: Mark | None) -> int:
    """The lowest watermark of the unit's partitions."""
    positions: Mapping[int, int] = {each.partition: each.position for each in found if each.unit == unit}
    marks = [mark.watermark(*each) if mark else each[1] for each in positions.items()]
    return min(marks, default=0)


async def _mark(tools: Tools, partitions: int) -> Mark | None:
    """None too for the mark of a log with another number of partitions."""
    try:
        stored = await tools.redis.get(MARK_KEY)
        mark = Mark.decode(stored) if isinstance(stored, bytes) else None
    except (RedisError, OSError, KeyError, TypeError, ValueError):
        return None  # an overview without the newest head is still worth showing
    return mark if mark is not None and len(mark.last) == partitions else None
