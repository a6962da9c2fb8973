"""The heart of the read side: one transaction that folds a batch, writes rows and audit copy, and moves checkpoints.

Whatever crashes, an event has its effect exactly once, because effect and checkpoint commit together and the
checkpoint is compared, under lock, with the position that the batch was read from.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from query_service.infrastructure.projection import Projection
from query_service.projector import audit_copy, checkpoints, parking
from query_service.projector.batch import Slice, digest, require_sound
from query_service.projector.checkpoints import LOG, Advance, Gate, Members, Unit
from query_service.projector.decoding import Arrival, Decoder, Prepared
from query_service.projector.folding import Parked, Pass, Stream, steps_of
from query_service.projector.rows import TableRows
from query_service.projector.trouble import unwritable
from query_service.projector.work import BrokenProjection, Work
from shared_kernel.events.envelope import StoredRow

Connection = AsyncConnection[Any]
Enter = Callable[[], Awaitable[Members]]
Skipped = Mapping[str, Collection[int]]
"""Positions that a projection is to do without, by its name."""

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

    async def prepare(self, events: Slice) -> Prepared:
        """What can be done without the database. Raises NotTheLog when an event is not what it should be, and
        ServiceUnavailable when the vault is away.
        """
        require_sound(events, self._partitions)
        return Prepared(events, await self._decoder.decode([events]))

    async def apply(self, connection: Connection, batch: Sequence[Prepared]) -> Applied:
        """Handle new events for everything that stands where they begin, the audit copy included.

        Raises Fenced when another process was faster, NotTheLog when the audit copy holds another event,
        BrokenProjection and psycopg.Error. Then nothing has happened.
        """
        expected = {each.events.partition: Gate(each.events.after, each.events.epoch) for each in batch}
        return await self._transact(connection, batch, lambda: checkpoints.enter(connection, expected))

    async def catch_up(self, connection: Connection, units: Sequence[Unit], events: Slice) -> Applied:
        """Handle events for units that lag behind. Raises what `prepare` and `apply` raise."""
        partition, after = events.partition, Gate(events.after, events.epoch)
        return await self._transact(
            connection,
            [await self.prepare(events)],
            lambda: checkpoints.enter_alone(connection, units, partition, after),
        )

    async def fold_again(self, connection: Connection, unit: Unit, rows: Sequence[StoredRow], partition: int) -> Pass:
        """Fold events of one stream that were set aside, in the transaction of the caller, one by one in order.

        Raises NotTheLog, BrokenProjection, ServiceUnavailable when the vault is away, and psycopg.Error.
        """
        prepared = await self.prepare(Slice(partition, rows[0].position - 1, 0, rows))
        projection = self._projections[unit.projection]
        steps = steps_of(projection, prepared.arrivals)
        work = Work(unit, TableRows(projection.table, unit.generation), steps, Pass(projection))
        await work.fold_one_by_one(connection)
        return work.folding

    async def _transact(self, connection: Connection, batch: Sequence[Prepared], enter: Enter) -> Applied:
        try:
            return await self._attempt(connection, batch, enter, _ALL_AT_ONCE)
        except (BrokenProjection, psycopg.Error) as error:
            if isinstance(error, psycopg.Error) and not unwritable(error):
                raise
        return await self._attempt(connection, batch, enter, _ONE_BY_ONE)  # to find who is to blame

    async def _attempt(
        self, connection: Connection, batch: Sequence[Prepared], enter: Enter, handling: "Handling"
    ) -> Applied:
        slices = [each.events for each in batch]
        async with connection.transaction():
            members = self._ours(await enter())
            works = self._works(members, [arrival for each in batch for arrival in each.arrivals])
            skipped = await handling.fold(connection, works, slices)
            if LOG in members:
                await handling.copy(connection, slices)
            parked = [(work.unit, event) for work in works for event in work.folding.parked]
            if parked:
                await parking.park(connection, parked)
            await checkpoints.advance(connection, _advances(slices, members, _aside(slices, members, parked, skipped)))
            await connection.execute(_NOTIFY, (CHANNEL,))
            return Applied(members, parked)

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


async def _fold_all(connection: Connection, works: Sequence[Work], slices: Sequence[Slice]) -> Skipped:
    """Two round trips for everybody: read all rows, write all rows."""
    async with connection.pipeline():
        any_parked = await parking.ask_any(connection)
        skipped = await _ask_skipped(connection, slices)
        loading = [await work.ask(connection) for work in works]
    parked = await _blocked(connection, works) if await any_parked.fetchone() == (True,) else {}
    skip = parking.skipped_by_projection(await skipped.fetchall())
    for work, rows in zip(works, loading, strict=True):
        work.folding.begin(await work.loaded(rows), parked.get(work.unit, ()), skip.get(work.unit.projection, ()))
        work.folding.run(work.steps)
    async with connection.pipeline():
        for work in works:
            await work.write(connection)
    return skip


async def _fold_one_by_one(connection: Connection, works: Sequence[Work], slices: Sequence[Slice]) -> Skipped:
    parked = await _blocked(connection, works)
    skip = parking.skipped_by_projection(await (await _ask_skipped(connection, slices)).fetchall())
    for work in works:
        work.folding.begin({}, parked.get(work.unit, ()), skip.get(work.unit.projection, ()))
        await work.fold_one_by_one(connection)
    return skip


@dataclass(frozen=True, slots=True)
class Handling:
    """How a batch is handled: its events together, or each for itself when they cannot be."""

    fold: Callable[[Connection, Sequence[Work], Sequence[Slice]], Awaitable[Skipped]]
    copy: Callable[[Connection, Sequence[Slice]], Awaitable[None]]


_ALL_AT_ONCE = Handling(_fold_all, audit_copy.add)
_ONE_BY_ONE = Handling(_fold_one_by_one, audit_copy.merge)


async def _blocked(connection: Connection, works: Sequence[Work]) -> Mapping[Unit, set[Stream]]:
    streams = {step.stream for work in works for step in work.steps}
    return await parking.blocked(connection, streams) if streams else {}


async def _ask_skipped(connection: Connection, slices: Sequence[Slice]) -> psycopg.AsyncCursor[Any]:
    return await parking.ask_skipped(
        connection, [row.position for events in slices for row in (events.rows[0], events.rows[-1])]
    )


def _aside(
    slices: Sequence[Slice], members: Members, parked: Sequence[tuple[Unit, Parked]], skipped: Skipped
) -> Mapping[tuple[Unit, int], int]:
    """The sum of what each unit parked or skipped, by partition.

    An event is skipped whether or not the unit has a fold for it: the books say so, and a release may know it anew.
    """
    left_out = [(unit, event.partition, event.row) for unit, event in parked]
    for unit in members:
        if positions := skipped.get(unit.projection):
            left_out += [
                (unit, events.partition, row) for events in slices for row in events.rows if row.position in positions
            ]
    aside: dict[tuple[Unit, int], int] = {}
    for unit, partition, row in left_out:
        aside[unit, partition] = aside.get((unit, partition), 0) + digest(row)
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
