"""A look at the books once a second: where every live projection stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from query_service.projector.checkpoints import LOG, Unit

Connection = AsyncConnection[Any]

_STANDING = sql.SQL("""
    SELECT c.projection, c.partition, c.position, a.recorded_at
      FROM public.checkpoints AS c
      JOIN public.projections AS p ON p.name = c.projection AND p.active = c.generation
      LEFT JOIN public.audit_events AS a ON a.position = c.position
     WHERE c.partition = ANY(%s) ORDER BY c.projection, c.partition
""")
_LAGGING = sql.SQL("""
    SELECT c.projection, c.generation, c.partition, c.position
      FROM public.checkpoints AS c
      JOIN public.checkpoints AS gate
        ON gate.projection = %s AND gate.generation = %s AND gate.partition = c.partition
     WHERE c.partition = ANY(%s) AND c.projection = ANY(%s) AND c.position < gate.position
       AND NOT EXISTS (SELECT 1 FROM public.rebuilds AS r
                        WHERE r.projection = c.projection AND r.generation = c.generation
                          AND r.state IN ('running', 'paused'))
     ORDER BY c.partition, c.position, c.projection, c.generation
""")


@dataclass(frozen=True, slots=True)
class Lagging:
    """A unit that is behind the audit copy in a partition, and where it is."""

    unit: Unit
    partition: int
    position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a live projection is in a partition, and when the event there was recorded (microseconds)."""

    projection: str
    partition: int
    position: int
    recorded_at: int | None


async def standing(connection: Connection, partitions: Sequence[int]) -> Sequence[Standing]:
    async with connection.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(_STANDING, (list(partitions),))
        return await cursor.fetchall()


async def lagging(connection: Connection, partitions: Sequence[int], projections: Sequence[str]) -> Sequence[Lagging]:
    """Units that are behind the audit copy, those that stand together next to each other."""
    cursor = await connection.execute(_LAGGING, (LOG.projection, LOG.generation, list(partitions), list(projections)))
    return [Lagging(Unit(name, generation), *rest) for name, generation, *rest in await cursor.fetchall()]
