"""The heart of the read side: one transaction that folds a batch, writes rows and audit copy, and moves checkpoints.

Whatever crashes, an event has its effect exactly once, because effect and checkpoint commit together and the
checkpoint is compared, under lock, with the position that the batch was read from.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from query_service.infrastructure.projection import Projection
from query_service.projector import audit_copy, checkpoints, parking
from query_service.projector.batch import Slice, digest, require_sound
from query_service.projector.checkpoints import LOG, Advance, Gate, Members, Unit
from query_service.projector.decoding import Arrival, Decoder, Ready
from query_service.projector.folding import Parked, Pass, Stream, steps_of
from query_service.projector.rows import TableRows
from query_service.projector.trouble import unwritable
from query_service.projector.work import BrokenProjection, Work
from shared_kernel.events.envelope import StoredRow

Connection = AsyncConnection[Any]
Enter = Callable[[], Awaitable[Members]]
CHANNEL = "projected"
_NOTIFY = sql.SQL("SELECT pg_notify(%s, '')")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a transaction did: which checkpoints it moved, and what it set aside."""

    members: Members
    parked: Sequence[tuple[Unit, Parked]]


class Engine:
    """Applies batches through the projections of this release, for a log with this many partitions."""

    def __init__(self, projections: Iterable[Projection], decoder: Decoder, partitions: int) -> None:
        self._projections = {projection.name: projection for projection in projections}
        self._decoder = decoder
        self._partitions = partitions

    async def ready(self, events: Slice) -> Ready:
        """What can be done without the database. Raises NotTheLog when an event is not what it should be, and
        ServiceUnavailable when the vault is away.
        """
        require_sound(events, self._partitions)
        return Ready(events, await self._decoder.decode([events]))

    async def apply(self, connection: Connection, batch: Sequence[Ready]) -> Applied:
        """Handle new events for everything that stands where they begin, the audit copy included.

        Raises Fenced when another process was faster, NotTheLog when the audit copy holds another event,
        BrokenProjection and psycopg.Error. Then nothing has happened.
        """
        expected = {each.events.partition: Gate(each.events.after, each.events.epoch) for each in batch}
        return await self._transact(connection, batch, lambda: checkpoints.enter(connection, expected))

    async def catch_up(self, connection: Connection, units: Sequence[Unit], events: Slice) -> Applied:
        """Handle events for units that lag behind. Raises what `ready` and `apply` raise."""
        partition, after = events.partition, Gate(events.after, events.epoch)
        return await self._transact(
            connection, [await self.ready(events)], lambda: checkpoints.enter_alone(connection, units, partition, after)
        )

    async def fold_again(self, connection: Connection, unit: Unit, rows: Sequence[StoredRow], partition: int) -> Pass:
        """Fold events of one stream that were set aside, in the transaction of the caller, one by one in order.

        Raises NotTheLog, BrokenProjection, ServiceUnavailable when the vault is away, and psycopg.Error.
        """
        ready = await self.ready(Slice(partition, rows[0].position - 1, 0, rows))
        projection = self._projections[unit.projection]
        steps = steps_of(projection, ready.arrivals)
        work = Work(unit, TableRows(projection.table, unit.generation), steps, Pass(projection))
        await work.fold_one_by_one(connection)
        return work.folding

    async def _transact(self, connection: Connection, batch: Sequence[Ready], enter: Enter) -> Applied:
        try:
            return await self._attempt(connection, batch, enter, _ALL_AT_ONCE)
        except (BrokenProjection, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and not unwritable(error):
                raise
        return await self._attempt(connection, batch, enter, _ONE_BY_ONE)  # to find who is to blame

    async def _attempt(self, connection: Connection, batch: Sequence[Ready], enter: Enter, way: "Way") -> Applied:
        slices = [each.events for each in batch]
        async with connection.transaction():
            members = self._ours(await enter())
            works = self._works(members, [arrival for each in batch for arrival in each.arrivals])
            await way.fold(connection, works)
            if LOG in members:
                await way.copy(connection, slices)
            return await _finish(connection, slices, members, works)

    def _ours(self, members: Members) -> Members:
        """Without projections that only another release knows: what is not folded must not be moved on."""
        return {unit: at for unit, at in members.items() if unit == LOG or unit.projection in self._projections}

    def _works(self, members: Members, arrivals: Sequence[Arrival]) -> Sequence[Work]:
        return [
            Work(unit, TableRows(projection.table, unit.generation), steps, Pass(projection))
            for unit, partitions in members.items()
            if (projection := self._projections.get(unit.projection))
            and (steps := steps_of(projection, [a for a in arrivals if a.partition in partitions]))
        ]


async def _fold_all(connection: Connection, works: Sequence[Work]) -> None:
    """Two round trips for everybody: read all rows, write all rows."""
    if not works:
        return
    async with connection.pipeline():
        any_parked = await parking.ask_any(connection)
        skipped = await _ask_skipped(connection, works)
        loading = [await work.ask(connection) for work in works]
    parked = await _blocked(connection, works) if await any_parked.fetchone() == (True,) else {}
    skip = parking.skipped_by_projection(await skipped.fetchall())
    for work, rows in zip(works, loading, strict=True):
        work.folding.begin(await work.loaded(rows), parked.get(work.unit, ()), skip.get(work.unit.projection, ()))
        work.folding.run(work.steps)
    async with connection.pipeline():
        for work in works:
            await work.write(connection)


async def _fold_one_by_one(connection: Connection, works: Sequence[Work]) -> None:
    if not works:
        return
    parked = await _blocked(connection, works)
    skip = parking.skipped_by_projection(await (await _ask_skipped(connection, works)).fetchall())
    for work in works:
        work.folding.begin({}, parked.get(work.unit, ()), skip.get(work.unit.projection, ()))
        await work.fold_one_by_one(connection)


@dataclass(frozen=True, slots=True)
class Way:
    """How a batch is handled: its events together, or each for itself when they cannot be."""

    fold: Callable[[Connection, Sequence[Work]], Awaitable[None]]
    copy: Callable[[Connection, Sequence[Slice]], Awaitable[None]]


_ALL_AT_ONCE = Way(_fold_all, audit_copy.add)
_ONE_BY_ONE = Way(_fold_one_by_one, audit_copy.merge)


async def _blocked(connection: Connection, works: Sequence[Work]) -> Mapping[Unit, set[Stream]]:
    return await parking.blocked(connection, {step.stream for work in works for step in work.steps})


async def _ask_skipped(connection: Connection, works: Sequence[Work]) -> psycopg.AsyncCursor[Any]:
    return await parking.ask_skipped(connection, [step.arrival.row.position for work in works for step in work.steps])


async def _finish(connection: Connection, slices: Sequence[Slice], members: Members, works: Sequence[Work]) -> Applied:
    parked = [(work.unit, event) for work in works for event in work.folding.parked]
    if parked:
        await parking.park(connection, parked)
    await checkpoints.advance(connection, _advances(slices, members, _aside(works)))
    await connection.execute(_NOTIFY, (CHANNEL,))
    return Applied(members, parked)


def _aside(works: Sequence[Work]) -> Mapping[tuple[Unit, int], int]:
    """The sum of what each unit parked or skipped, by partition."""
    aside: dict[tuple[Unit, int], int] = {}
    for work in works:
        left_out = [(event.partition, event.row) for event in work.folding.parked]
        left_out += [(step.arrival.partition, step.arrival.row) for step in work.folding.skipped]
        for partition, row in left_out:
            aside[work.unit, partition] = aside.get((work.unit, partition), 0) + digest(row)
    return aside


def _advances(slices: Sequence[Slice], members: Members, aside: Mapping[tuple[Unit, int], int]) -> Sequence[Advance]:
    """Every member moves to the end of its slices; what it left aside is not in its sum of handled events."""
    ends = {events.partition: events.upto for events in slices}
    arrived = {events.partition: sum(map(digest, events.rows)) for events in slices}
    return [
        Advance(unit, partition, ends[partition], arrived[partition] - aside.get((unit, partition), 0))
        for unit, partitions in members.items()
        for partition in partitions
    ]
