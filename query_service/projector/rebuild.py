"""Building read models anew from the log, beside the live ones, which nobody notices until the switch."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from query_service.infrastructure.projection import Projection
from query_service.projector import checkpoints, generations
from query_service.projector.catch_up import CatchingUp, Progress, claimed
from query_service.projector.checkpoints import Unit
from query_service.projector.engine import Engine
from query_service.projector.generations import Registered
from query_service.projector.shift import Tools
from shared_kernel.errors import Refusal

Connection = AsyncConnection[Any]

_FORGET_CHECKPOINTS = sql.SQL("DELETE FROM public.checkpoints WHERE projection = %s AND generation = %s")
_FORGET_PARKED = sql.SQL("DELETE FROM public.parked_events WHERE projection = %s AND generation = %s")
_EMPTY = sql.SQL("TRUNCATE {}")
_START = sql.SQL("""
    INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)
    SELECT %s, %s, n.partition, 0, %s FROM generate_series(0, %s - 1) AS n (partition)
""")
_BEGUN = sql.SQL("""
    UPDATE public.projections SET shadow_version = %s, shadow_built_at = clock_timestamp() WHERE name = %s
""")


class NothingToRebuild(Refusal):
    """The projector has not started yet: there is no read model that could be built anew."""


class RebuildUnderWay(Refusal):
    """Somebody else is building this read model just now."""


class SwitchedMeanwhile(Refusal):
    """Somebody has just let another generation answer: look at `twinlog projections status` and ask again."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Which generation of each projection was made, out of how many events of the log."""

    generations: Sequence[Unit]
    events: int


async def rebuild(
    tools: Tools, engine: Engine, projections: Sequence[Projection], progress: Progress | None = None
) -> Rebuilt:
    """Empty the inactive generation of these projections and replay the log into it, up to where the live ones are.

    One pass over the log serves them all. From then on live batches keep both generations level, so a switch and a
    way back are ready at any time. What was live a moment ago is emptied only when nobody reads it any more. Raises
    NothingToRebuild, RebuildUnderWay, SwitchedMeanwhile, FeedUnavailable, NotTheLog, ServiceUnavailable (the vault)
    and psycopg.Error; what was begun, the projector brings to its end.
    """
    async with tools.pool.connection() as connection, AsyncExitStack() as claims:
        epoch, partitions = await generations.installed(connection) or (0, 0)
        if not partitions:
            raise NothingToRebuild
        chosen = await _chosen(connection, projections)
        shadows = [registered.shadow for registered, _projection in chosen]
        for shadow in shadows:
            if not await claims.enter_async_context(claimed(connection, shadow)):
                raise RebuildUnderWay(f"Somebody else is building {shadow} just now.")
        await generations.until_unread(connection, [projection.name for projection in projections])
        await begin(connection, chosen, epoch, partitions)
        catching_up = CatchingUp(engine, tools.feed, progress)
        events = await catching_up.run_all(tools.pool, shadows, range(partitions))
        return Rebuilt(shadows, events)


async def _chosen(connection: Connection, projections: Sequence[Projection]) -> Sequence[tuple[Registered, Projection]]:
    known = await generations.registered(connection)
    if not all(projection.name in known for projection in projections):
        raise NothingToRebuild
    return [(known[projection.name], projection) for projection in projections]


async def forget(connection: Connection, shadow: Unit, projection: Projection) -> None:
    """Empty a shadow and take it out of the live batches, in the transaction of the caller, which holds the gates."""
    named = (shadow.projection, shadow.generation)
    await connection.execute(_FORGET_CHECKPOINTS, named)
    await connection.execute(_FORGET_PARKED, named)
    await connection.execute(_EMPTY.format(sql.Identifier(shadow.generation, projection.table.name)))


async def begin(
    connection: Connection, chosen: Sequence[tuple[Registered, Projection]], epoch: int, partitions: int
) -> None:
    """While no batch is under way: a shadow that was kept level leaves the live batches and starts from zero.

    Raises SwitchedMeanwhile when a shadow is not unread any more.
    """
    async with connection.transaction():
        await checkpoints.lock_gates(connection, range(partitions))
        await _require_unread(connection, [registered for registered, _ in chosen])
        for registered, projection in chosen:
            shadow = registered.shadow
            await forget(connection, shadow, projection)
            await connection.execute(_START, (shadow.projection, shadow.generation, epoch, partitions))
            await connection.execute(_BEGUN, (projection.version, projection.name))


async def _require_unread(connection: Connection, chosen: Sequence[Registered]) -> None:
    """Only under the gates, where nobody can switch."""
    known = await generations.registered(connection)
    moved = any(known[registered.name].active != registered.active for registered in chosen)
    if moved or await generations.still_read(connection, [registered.name for registered in chosen]):
        raise SwitchedMeanwhile
