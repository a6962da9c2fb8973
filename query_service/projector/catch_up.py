"""Bringing units that lag to where the live ones stand: a new projection, a rebuilt generation, an interrupted one.

Events come from the feed, so from the log itself. A unit never overtakes the audit copy: once it stands at the same
position, the live batches carry it along. The last step locks the gate, so that the live ones wait a moment for it.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any
from zlib import crc32

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from query_service.infrastructure.feed import Feed
from query_service.projector import checkpoints, leases
from query_service.projector.batch import NotTheLog, Slice
from query_service.projector.checkpoints import LOG, Checkpoint, Fenced, Unit
from query_service.projector.engine import Engine
from shared_kernel.background import together

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]
Progress = Callable[[int, int, int], None]
"""Told (partition, position, events) after each step."""

BATCH = 2_000
"""Events in one transaction: more are cheaper, but whoever else works in this process waits while they are decoded."""

AT_ONCE = 3
"""Partitions that are brought forward side by side."""

NEAR = 2_000
"""Positions that may be left for the last step, while the gate is locked."""


class CatchingUp:
    """Moves units forward in one partition at a time, several units together when they stand at the same position."""

    def __init__(self, engine: Engine, feed: Feed, progress: Progress | None = None, near: int = NEAR) -> None:
        self._engine = engine
        self._feed = feed
        self._progress = progress
        self._near = near

    async def run(self, connection: Connection, units: Sequence[Unit], partition: int) -> int:
        """Bring these units, which stand together, level with the audit copy; how many events that took.

        Raises FeedUnavailable, NotTheLog, Fenced when somebody else moves these units, ServiceUnavailable,
        psycopg.Error.
        """
        events = 0
        while True:
            gate, position = await self._look(connection, units, partition)
            if gate.position - position <= self._near:
                return events + await self._join(connection, units, partition)
            events += await self._follow(connection, units, position, gate)

    async def run_all(self, pool: Pool, units: Sequence[Unit], partitions: Iterable[int]) -> int:
        """The same for several partitions, a few of them at once: while one writes, others read and fold."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(partition: int) -> int:
            async with places, pool.connection() as connection:
                return await self.run(connection, units, partition)

        return sum(await together([one(partition) for partition in partitions]))

    async def _look(self, connection: Connection, units: Sequence[Unit], partition: int) -> tuple[Checkpoint, int]:
        """Where the audit copy and the units stand."""
        found = {checkpoint.unit: checkpoint for checkpoint in await checkpoints.read(connection, [partition])}
        positions = {found[unit].position for unit in units if unit in found}
        if len(positions) != 1 or LOG not in found:
            raise Fenced
        return found[LOG], positions.pop()

    async def _join(self, connection: Connection, units: Sequence[Unit], partition: int) -> int:
        async with connection.transaction():
            await checkpoints.lock_gates(connection, [partition])
            gate, position = await self._look(connection, units, partition)
            return await self._follow(connection, units, position, gate)

    async def _follow(self, connection: Connection, units: Sequence[Unit], position: int, gate: Checkpoint) -> int:
        partition, events = gate.partition, 0
        async with aclosing(self._feed.read(partition, position, gate.position, BATCH)) as stretches:
            async for stretch in stretches:
                if stretch.epoch != gate.epoch:
                    raise NotTheLog(f"The log is in epoch {stretch.epoch}, the read models are in {gate.epoch}.")
                await self._engine.catch_up(connection, units, Slice(partition, position, gate.epoch, stretch.rows))
                position, events = stretch.rows[-1].position, events + len(stretch.rows)
                if self._progress:
                    self._progress(partition, position, len(stretch.rows))
        if position != gate.position:
            raise NotTheLog(f"The log ends at position {position} of partition {partition}; {gate.position} was there.")
        return events


def claimed(connection: Connection, unit: Unit) -> AbstractAsyncContextManager[bool]:
    """Whether nobody else is bringing this unit forward; it is ours until the end of the block."""
    return leases.claimed(connection, leases.CATCHING_UP, crc32(str(unit).encode()) & 0x7FFF_FFFF)
