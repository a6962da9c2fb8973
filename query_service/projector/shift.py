"""The loop of one process while all it needs is there: read, apply, move on; share partitions; look at the books."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from query_service.infrastructure.feed import Feed, FeedUnavailable
from query_service.infrastructure.projection import Projection
from query_service.projector import census, checkpoints, generations, parking, succession
from query_service.projector.batch import NotTheLog, Slice, shares
from query_service.projector.catch_up import CatchingUp, claimed
from query_service.projector.census import Lagging
from query_service.projector.checkpoints import LOG, Fenced, Unit
from query_service.projector.decoding import Prepared
from query_service.projector.engine import Applied, Engine
from query_service.projector.leases import Leases
from query_service.projector.reading_ahead import ReadingAhead
from query_service.projector.source import Cursor, Reading, Source
from query_service.projector.status import Status
from shared_kernel.background import end, together
from shared_kernel.errors import ServiceUnavailable, TwinlogError
from shared_kernel.messaging.backoff import pause
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY, field_of, told, value_of
from shared_kernel.observability import get_logger
from shared_kernel.privacy.cipher import Unreadable

PATIENCE = 0.25
"""Seconds to wait for events before looking around."""

LOOK_AROUND_EVERY = 1.0
COMPARE_EVERY = 30.0
"""Seconds between two comparisons of our copy with the log; also while everything seems well."""

TRY_AGAIN_AFTER = 2.0
"""Seconds until a partition that was halted is tried again: an operator may have put things right."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What the projector works with."""

    pool: AsyncConnectionPool[AsyncConnection[Any]]
    redis: Redis
    feed: Feed
    projections: Sequence[Projection]
    status: Status
    stop: asyncio.Event


class Shift:
    """One stretch of work; `step` raises psycopg.Error and redis.RedisError when something goes away."""

    def __init__(self, tools: Tools, engine: Engine, leases: Leases) -> None:
        self._tools = tools
        self._status = tools.status
        self._engine = engine
        self._leases = leases
        self._ahead = self._reading_ahead()
        self._cursors: dict[int, Cursor] = {}
        self._halted: dict[int, tuple[str, float]] = {}
        self._look_around_at = self._compare_at = 0.0
        self._foreign = ""
        self._catching_up: asyncio.Task[None] | None = None

    def _reading_ahead(self) -> ReadingAhead:
        return ReadingAhead(Source(self._tools.redis, self._tools.feed).read, self._engine.prepare)

    async def step(self) -> None:
        """Handle what is there, or wait for it a moment."""
        if time.monotonic() >= self._look_around_at:
            await self._look_around()
            self._look_around_at = time.monotonic() + LOOK_AROUND_EVERY
        cursors = self._awake()
        reading = await self._ahead.read(cursors, PATIENCE)
        await self._take_note(cursors, reading)
        if reading.slices:
            self._ahead.start(cursors, reading)
            await together([self._apply(share, reading.prepared) for share in shares(reading.slices)])
        self._say_halted()
        if not reading.slices and (reading.feed_trouble or not cursors):
            await pause(self._tools.stop, PATIENCE)

    async def _take_note(self, cursors: Sequence[Cursor], reading: Reading) -> None:
        """Of what a reading tells besides events."""
        self._status.report("redis", "")
        self._status.marked(reading.mark)
        self._status.report("feed", reading.feed_trouble)
        for partition, reason in reading.halted.items():
            self._halt(partition, reason)
        if reading.other_epoch:
            await self._follow_log()
        self._resume({cursor.partition for cursor in cursors} - reading.halted.keys() - reading.partitions)

    async def _follow_log(self) -> None:
        """Into its new epoch, if the log itself says that there is one; what is only in Redis is not believed."""
        try:
            async with self._tools.pool.connection() as connection:
                epoch = await succession.follow(connection, self._tools.feed, self._tools.projections)
        except FeedUnavailable as error:
            self._status.report("feed", error.detail)
        except NotTheLog as error:
            for partition in self._cursors:
                self._halt(partition, error.detail)
        else:
            if any(cursor.epoch < epoch for cursor in self._cursors.values()):
                await self._ahead.forget()
                self._ahead = self._reading_ahead()
                self._halted.clear()
                await self._reload(list(self._cursors))

    async def _compare_with_log(self) -> None:
        """Nothing more is handled while the log is not the one that we have read."""
        self._compare_at = time.monotonic() + COMPARE_EVERY
        try:
            async with self._tools.pool.connection() as connection:
                epoch = await succession.require_lineage(connection, self._tools.feed)
        except FeedUnavailable:
            return  # whoever needs the feed says so
        except NotTheLog as error:
            self._foreign, self._compare_at = error.detail, time.monotonic() + TRY_AGAIN_AFTER
            return
        self._foreign = ""
        if any(cursor.epoch < epoch for cursor in self._cursors.values()):
            await self._follow_log()

    def _awake(self) -> list[Cursor]:
        if self._foreign:
            return []
        return [cursor for cursor in self._cursors.values() if not self._rests(cursor.partition)]

    async def end(self) -> None:
        """Nothing of ours goes on afterwards."""
        await self._ahead.forget()
        await end(self._catching_up)

    async def _apply(self, slices: Sequence[Slice], prepared: Mapping[int, Prepared]) -> None:
        try:
            batch = [prepared.get(events.partition) or await self._engine.prepare(events) for events in slices]
            async with self._tools.pool.connection() as connection:
                applied = await self._engine.apply(connection, batch)
        except Fenced:
            self._status.fenced.inc()
            await self._reload([events.partition for events in slices])
        except (ServiceUnavailable, Unreadable) as error:
            self._status.report("vault", str(error))
            await pause(self._tools.stop, 1.0)
        except TwinlogError as error:
            await self._apply_apart(slices, prepared, error)
        else:
            self._status.report("vault", "")
            await self._applied(slices, applied)

    async def _apply_apart(
        self, slices: Sequence[Slice], prepared: Mapping[int, Prepared], error: TwinlogError
    ) -> None:
        """One partition's trouble is not the others'."""
        if len(slices) == 1:
            self._halt(slices[0].partition, error.detail)
            return
        for events in slices:
            await self._apply([events], prepared)

    async def _applied(self, slices: Sequence[Slice], applied: Applied) -> None:
        ends = {events.partition: Cursor(events.partition, events.epoch, events.upto) for events in slices}
        self._cursors |= ends
        self._resume(ends.keys())
        self._status.batches.inc()
        self._status.handled.inc(sum(len(events.rows) for events in slices))
        for unit, event in applied.parked:
            self._status.parked(unit.projection, event)

    def _rests(self, partition: int) -> bool:
        return partition in self._halted and self._halted[partition][1] > time.monotonic()

    def _halt(self, partition: int, reason: str) -> None:
        self._halted[partition] = (reason, time.monotonic() + TRY_AGAIN_AFTER)

    def _resume(self, partitions: AbstractSet[int]) -> None:
        """These partitions are well, or not ours any more."""
        self._halted = {number: halt for number, halt in self._halted.items() if number not in partitions}

    def _say_halted(self) -> None:
        """With each step: a new stretch of work knows nothing of what an earlier one has said."""
        if self._foreign:
            self._status.report("partitions", f"All partitions stand still: {self._foreign}")
            return
        reasons = sorted({reason for reason, _ in self._halted.values()})
        numbers = ", ".join(str(partition) for partition in sorted(self._halted))
        self._status.report("partitions", f"Partition {numbers} stands still: {' '.join(reasons)}" if reasons else "")

    async def _look_around(self) -> None:
        """Everything that need not happen with each batch."""
        await self._leases.rebalance()
        held = self._leases.held
        self._status.partitions.set(len(held))
        gone = self._cursors.keys() - held
        self._cursors = {number: cursor for number, cursor in self._cursors.items() if number in held}
        self._resume(gone)
        await self._reload([*(held - self._cursors.keys()), *(number for number in self._halted if number in held)])
        if time.monotonic() >= self._compare_at:
            await self._compare_with_log()
        await self._tell_checkpoints()
        await self._take_census()
        self._status.report("database", "")

    async def _reload(self, partitions: Sequence[int]) -> None:
        if not partitions:
            return
        async with self._tools.pool.connection() as connection:
            for found in await checkpoints.read(connection, partitions):
                if found.unit == LOG and found.partition in self._leases.held:
                    self._cursors[found.partition] = Cursor(found.partition, found.epoch, found.position)

    async def _tell_checkpoints(self) -> None:
        """For operators and for trimming; nothing that we do depends on it."""
        held = self._leases.held
        async with self._tools.pool.connection() as connection:
            found = await checkpoints.read(connection, held)
        telling: dict[Any, Any] = {
            field_of(str(each.unit), each.partition): value_of(each.epoch, each.position) for each in found
        }
        stored: Any = await self._tools.redis.hgetall(CHECKPOINTS_KEY)
        gone = {field_of(each.unit, each.partition) for each in told(stored) if each.partition in held} - telling.keys()
        if telling:
            await self._tools.redis.hset(CHECKPOINTS_KEY, mapping=telling)
        if gone:
            await self._tools.redis.hdel(CHECKPOINTS_KEY, *gone)

    async def _take_census(self) -> None:
        held, names = sorted(self._leases.held), [projection.name for projection in self._tools.projections]
        async with self._tools.pool.connection() as connection:
            self._status.lags(await census.standing(connection, held))
            self._status.parked_streams(await parking.streams(connection), names)
            lagging = await census.lagging(connection, held, names)
            known = await generations.registered(connection)
            await succession.settle(connection)
        sentences = list(generations.outdated(self._tools.projections, known))
        late = sorted({each.unit.projection for each in lagging if known[each.unit.projection].live == each.unit})
        sentences += [f"{name} is catching up with the log" for name in late]
        self._status.report("projections", "; ".join(sentences))
        if lagging and (self._catching_up is None or self._catching_up.done()):
            self._catching_up = asyncio.create_task(self._catch_up(lagging))

    async def _catch_up(self, lagging: Sequence[Lagging]) -> None:
        """What lags and nobody else brings forward; whatever goes wrong, the next look finds it again."""
        catching_up = CatchingUp(self._engine, self._tools.feed)
        try:
            async with self._tools.pool.connection() as connection, AsyncExitStack() as claims:
                mine = await _claim(connection, claims, {each.unit for each in lagging})
                for (partition, _), level in groupby(lagging, lambda each: (each.partition, each.position)):
                    if units := [each.unit for each in level if each.unit in mine]:
                        await catching_up.run(connection, units, partition)
        except Exception as error:  # noqa: BLE001 - a side task: it must not take the live batches down with it
            get_logger().warning("catching up was interrupted", reason=f"{type(error).__name__}: {error}"[:300])


async def _claim(
    connection: AsyncConnection[Any], claims: AsyncExitStack, units: AbstractSet[Unit]
) -> AbstractSet[Unit]:
    """Those that nobody else is bringing forward; they are ours until the claims end."""
    return {unit for unit in sorted(units) if await claims.enter_async_context(claimed(connection, unit))}
