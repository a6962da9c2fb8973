"""Rows against events: a read model is folded again in memory, partition by partition, and compared with its table."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import args_row

from query_service.infrastructure.projection import Key, Projection, Row
from query_service.projector.auditing import Finding
from query_service.projector.batch import Slice
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.decoding import Decoder
from query_service.projector.folding import Pass, steps_of
from query_service.projector.rows import TableRows
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.leaf import leaf_of

Connection = AsyncConnection[Any]
AT_ONCE = 1_000
SHOWN = 10
"""How many of a kind are named."""

WRONG = {
    "missing": "is not in the audit copy",
    "changed": "was changed",
    "unknown": "is in the audit copy, but not in the log",
}

_COPY = sql.SQL("""
    SELECT position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
           recorded_at, slot, leaf_version, leaf_hash
      FROM public.audit_events WHERE slot %% %s = %s AND position <= %s ORDER BY position
""")
_ASIDE = sql.SQL("""
    SELECT position FROM public.parked_events WHERE projection = %s AND generation = %s
    UNION SELECT position FROM public.skipped_events WHERE projection = %s
""")
_POSITION = sql.SQL("""
    SELECT position FROM public.checkpoints WHERE projection = %s AND generation = %s AND partition = %s
""")


class Replayed:
    """The rows that the events of one partition make, and where each of them begins."""

    def __init__(self, projection: Projection, aside: Iterable[int]) -> None:
        self._projection = projection
        self.folding = Pass(projection)
        self.folding.begin({}, (), aside)
        self.first: dict[Key, int] = {}

    async def feed(self, decoder: Decoder, partition: int, rows: Sequence[StoredRow]) -> None:
        arrivals = await decoder.decode([Slice(partition, rows[0].position - 1, 0, rows)])
        steps = steps_of(self._projection, arrivals)
        for step in steps:
            if step.fold is not None:
                self.first.setdefault(step.key, step.arrival.row.position)
        self.folding.run(steps)
        self.folding.take_changes()


async def compare_rows(
    connection: Connection, decoder: Decoder, projection: Projection, unit: Unit, partition: int, *, partitions: int
) -> Sequence[Finding]:
    """What is wrong with the rows that come from this partition, in the snapshot of the caller, the first few of it.

    Raises ServiceUnavailable when the vault is away.
    """
    position = await _position(connection, unit, partition)
    named = (unit.projection, unit.generation)
    cursor = await connection.execute(_ASIDE, (*named, unit.projection))
    replayed = Replayed(projection, [found for (found,) in await cursor.fetchall()])
    async for rows in _copied(connection, partition, partitions, position):
        await replayed.feed(decoder, partition, rows)
    wrong = await _wrong_rows(connection, projection, unit, partition, replayed)
    return [*_unfoldable(unit, partition, replayed), *wrong]


def _unfoldable(unit: Unit, partition: int, replayed: Replayed) -> Sequence[Finding]:
    named = (unit.projection, unit.generation, partition, "unfoldable")
    detail = "it was handled, now it fails ({})."
    parked = replayed.folding.parked[:SHOWN]
    return [Finding(*named, event.row.position, detail.format(event.trouble.reason)) for event in parked]


async def _wrong_rows(
    connection: Connection, projection: Projection, unit: Unit, partition: int, replayed: Replayed
) -> Sequence[Finding]:
    wrong = await _wrong(connection, TableRows(projection.table, unit.generation), replayed.folding.rows)
    firsts = sorted(replayed.first[key] for key in wrong)
    of_all = f" ({len(firsts)} rows in all)" if len(firsts) > 1 else ""
    named = (unit.projection, unit.generation, partition, "rows")
    detail = "the row that begins at position {} is not what the events make of it{}."
    return [Finding(*named, first, detail.format(first, of_all)) for first in firsts[:SHOWN]]


async def inspect_copy(
    connection: Connection, partition: int, partitions: int, log: Sequence[int], head: int
) -> Sequence[Finding]:
    """What is wrong with the audit copy of a partition, whose events up to `head` have these positions in the log."""
    position = min(head, await _position(connection, LOG, partition))
    due = {each for each in log if each <= position}
    found, changed = set(), []
    async for rows in _copied(connection, partition, partitions, position):
        found |= {row.position for row in rows}
        changed += [row.position for row in rows if leaf_of(row) != row.leaf_hash]
    return _places(partition, missing=sorted(due - found), changed=changed, unknown=sorted(found - due))


def _places(partition: int, **wrong: Sequence[int]) -> Sequence[Finding]:
    """The first few of each kind."""
    return [
        Finding(LOG.projection, LOG.generation, partition, kind, each, f"the event at position {each} {WRONG[kind]}.")
        for kind, positions in wrong.items()
        for each in positions[:SHOWN]
    ]


async def _position(connection: Connection, unit: Unit, partition: int) -> int:
    cursor = await connection.execute(_POSITION, (unit.projection, unit.generation, partition))
    (position,) = await cursor.fetchone() or (0,)
    return int(position)


async def _copied(
    connection: Connection, partition: int, partitions: int, upto: int
) -> AsyncIterator[Sequence[StoredRow]]:
    async with connection.cursor("copied", binary=True, row_factory=args_row(StoredRow)) as cursor:
        await cursor.execute(_COPY, (partitions, partition, upto))
        while rows := await cursor.fetchmany(AT_ONCE):
            yield rows


async def _wrong(connection: Connection, table: TableRows, rows: Mapping[Key, Row | None]) -> Sequence[Key]:
    """The keys whose rows in the table are missing, different, or there although they are gone."""
    wrong: list[Key] = []
    remaining = iter(rows.items())
    while chunk := dict(islice(remaining, AT_ONCE)):
        kept = {key: row for key, row in chunk.items() if row is not None}
        gone = [key for key, row in chunk.items() if row is None]
        wrong += await table.differing(connection, kept) if kept else []
        wrong += table.by_key(await (await table.ask(connection, gone)).fetchall()) if gone else []
    return wrong
