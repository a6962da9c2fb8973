"""Events that were set aside, in the transaction that moved their checkpoint past them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.rows import class_row

from query_service.projector.checkpoints import Unit
from query_service.projector.folding import Parked, Stream
from shared_kernel.events.envelope import StoredRow

_ANY = sql.SQL("SELECT EXISTS (SELECT FROM public.parked_events)")
_BLOCKED = sql.SQL("""
    SELECT DISTINCT projection, generation, tenant, stream
      FROM public.parked_events
      JOIN unnest(%s::text[], %s::text[]) AS batch (tenant, stream) USING (tenant, stream)
""")
_SKIPPED = sql.SQL("""
    SELECT projection, position FROM public.skipped_events WHERE position BETWEEN %s AND %s
""")
_PARK = sql.SQL("""
    INSERT INTO public.parked_events
           (projection, generation, partition, tenant, stream, version, position, topic, reason, fingerprint)
    SELECT projection, generation, partition, tenant, stream, version, position, topic, reason, fingerprint
      FROM unnest(%s::text[], %s::text[], %s::integer[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
                  %s::text[], %s::text[], %s::text[])
           AS given (projection, generation, partition, tenant, stream, version, position, topic, reason, fingerprint)
""")
_LIST = sql.SQL("""
    SELECT projection, generation, tenant, stream, min(position) AS position,
           (array_agg(topic ORDER BY position))[1] AS topic, (array_agg(reason ORDER BY position))[1] AS reason,
           (array_agg(fingerprint ORDER BY position))[1] AS fingerprint, count(*) AS events,
           min(parked_at)::text AS parked_at
      FROM public.parked_events GROUP BY projection, generation, tenant, stream ORDER BY min(position), projection
""")


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """A stream that stands still for one projection: the event that stopped it, and how many wait with it."""

    projection: str
    generation: str
    tenant: str
    stream: str
    position: int
    topic: str
    reason: str
    fingerprint: str
    events: int
    parked_at: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def ask_any(connection: AsyncConnection[Any]) -> AsyncCursor[Any]:
    """A cursor that will hold whether anything is parked at all: the usual answer spares a longer question."""
    return await connection.execute(_ANY)


async def blocked(connection: AsyncConnection[Any], streams: Iterable[Stream]) -> Mapping[Unit, set[Stream]]:
    """Which of these streams are parked, by unit."""
    tenants, names = zip(*streams, strict=True)
    found: dict[Unit, set[Stream]] = {}
    cursor = await connection.execute(_BLOCKED, (list(tenants), list(names)))
    for projection, generation, tenant, stream in await cursor.fetchall():
        found.setdefault(Unit(projection, generation), set()).add((tenant, stream))
    return found


async def ask_skipped(connection: AsyncConnection[Any], positions: Iterable[int]) -> AsyncCursor[Any]:
    """A cursor that will hold which of these events which projection is to do without."""
    known = list(positions)
    return await connection.execute(_SKIPPED, (min(known), max(known)))


def skipped_by_projection(rows: Iterable[tuple[str, int]]) -> Mapping[str, set[int]]:
    skipped: dict[str, set[int]] = {}
    for projection, position in rows:
        skipped.setdefault(projection, set()).add(position)
    return skipped


async def park(connection: AsyncConnection[Any], parked: Sequence[tuple[Unit, Parked]]) -> None:
    """Record events as set aside."""
    columns = zip(
        *(
            (unit.projection, unit.generation, p.partition, *_stamp(p.row), p.trouble.reason, p.trouble.fingerprint)
            for unit, p in parked
        ),
        strict=True,
    )
    await connection.execute(_PARK, [list(column) for column in columns])


def _stamp(row: StoredRow) -> tuple[str, str, int, int, str]:
    return row.tenant, row.stream, row.version, row.position, row.topic


async def streams(connection: AsyncConnection[Any]) -> Sequence[ParkedStream]:
    """All parked streams, the oldest first."""
    async with connection.cursor(row_factory=class_row(ParkedStream)) as cursor:
        await cursor.execute(_LIST)
        return await cursor.fetchall()
