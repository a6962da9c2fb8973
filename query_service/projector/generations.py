"""Which generation of each projection answers questions, which one is its shadow, and which versions they have."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from query_service.infrastructure import progress
from query_service.infrastructure.projection import Projection
from query_service.infrastructure.schema import GENERATIONS
from query_service.projector.checkpoints import LOG, Unit

Connection = AsyncConnection[Any]
LOG_VERSION = 1
COMMITTED_WITHIN = 1.0
"""Seconds after which a switch is seen by everybody, counted from the moment that it notes."""

_REGISTER = sql.SQL("""
    INSERT INTO public.projections (name, version) SELECT name, version FROM unnest(%s::text[], %s::integer[])
           AS known (name, version)
    ON CONFLICT ON CONSTRAINT projections_pk DO NOTHING
""")
_START = sql.SQL("""
    INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)
    SELECT p.name, p.active, n.partition, 0, %s
      FROM public.projections AS p CROSS JOIN generate_series(0, %s - 1) AS n (partition)
     WHERE p.name = ANY(%s)
    ON CONFLICT ON CONSTRAINT checkpoints_pk DO NOTHING
""")
_ALL = sql.SQL("""
    SELECT name, active, version, shadow_version, coalesce(shadow_built_at > switched_at, false) AS shadow_is_new
      FROM public.projections ORDER BY name
""")
_STILL_READ = sql.SQL("""
    SELECT coalesce(max(least(%(for)s, %(for)s - extract(epoch FROM clock_timestamp() - switched_at))), 0)::float8
      FROM public.projections
     WHERE name = ANY(%(names)s) AND shadow_version IS NOT NULL
       AND NOT coalesce(shadow_built_at > switched_at, false)
""")
_INSTALLED = sql.SQL("""
    SELECT count(*) AS partitions, max(epoch) AS epoch FROM public.checkpoints WHERE projection = %s AND generation = %s
""")


@dataclass(frozen=True, slots=True)
class Registered:
    """One row of `public.projections`. `shadow_version` is None while there is no shadow.

    A shadow that was built since the last switch is new; an old one is what was live before.
    """

    name: str
    active: str
    version: int
    shadow_version: int | None
    shadow_is_new: bool

    @property
    def live(self) -> Unit:
        return Unit(self.name, self.active)

    @property
    def shadow(self) -> Unit:
        return Unit(self.name, other(self.active))


def other(generation: str) -> str:
    """The generation that is not this one."""
    first, second = GENERATIONS
    return second if generation == first else first


async def register(connection: Connection, projections: Iterable[Projection], epoch: int, partitions: int) -> None:
    """Give new projections and the audit copy their rows: active `blue`, all checkpoints at 0."""
    versions = {LOG.projection: LOG_VERSION} | {projection.name: projection.version for projection in projections}
    async with connection.transaction():
        await connection.execute(_REGISTER, (list(versions.keys()), list(versions.values())))
        await connection.execute(_START, (epoch, partitions, list(versions.keys())))


async def registered(connection: Connection) -> Mapping[str, Registered]:
    """All projections that the query database knows, without the audit copy."""
    async with connection.cursor(row_factory=class_row(Registered)) as cursor:
        await cursor.execute(_ALL)
        return {row.name: row for row in await cursor.fetchall() if row.name != LOG.projection}


async def installed(connection: Connection) -> tuple[int, int] | None:
    """(epoch, partitions) of the log that this query database follows, or None when it has not begun."""
    cursor = await connection.execute(_INSTALLED, (LOG.projection, LOG.generation))
    partitions, epoch = await cursor.fetchone() or (0, None)
    return (epoch, partitions) if epoch is not None else None


async def still_read(connection: Connection, names: Sequence[str]) -> float:
    """For how many seconds the shadows of these projections must stay as they are.

    One that was live before is read by whoever has not heard of the switch, for as long as a picture holds. One that
    was built since is read by nobody.
    """
    cursor = await connection.execute(_STILL_READ, {"for": progress.HOLDS + COMMITTED_WITHIN, "names": list(names)})
    (left,) = await cursor.fetchone() or (0.0,)
    return max(0.0, float(left))


async def until_unread(connection: Connection, names: Sequence[str]) -> None:
    """Wait, outside of any transaction, until nobody reads the shadows of these projections any more."""
    left = await still_read(connection, names)
    while left:
        await asyncio.sleep(left)
        left = await still_read(connection, names)


def outdated(projections: Sequence[Projection], known: Mapping[str, Registered]) -> Sequence[str]:
    """Sentences about live rows that were made by another version of the folds than this release has."""
    return [
        f"{projection.name} has rows of version {row.version}, this release makes version {projection.version}: "
        f"run `twinlog projections rebuild {projection.name}`, then `switch`"
        for projection in projections
        if (row := known.get(projection.name)) and row.version != projection.version
    ]
