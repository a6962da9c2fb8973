"""Rebuilds that the projector works on by itself: begun, paused, resumed and cancelled at an operator's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from query_service.infrastructure.projection import Projection
from query_service.projector import checkpoints, generations
from query_service.projector.catch_up import CatchingUp, claimed
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.diff import diff
from query_service.projector.engine import Engine
from query_service.projector.rebuild import NothingToRebuild, RebuildUnderWay, SwitchedMeanwhile, begin, forget
from query_service.projector.shift import Tools
from query_service.projector.switch import WouldGoBack, switch
from shared_kernel.errors import Refusal

Connection = AsyncConnection[Any]

_BEGUN = sql.SQL("""
    INSERT INTO public.rebuilds AS r (projection, generation, at_once, state)
    VALUES (%s, %s, %s, 'running')
    ON CONFLICT ON CONSTRAINT rebuilds_pk DO UPDATE
       SET generation = excluded.generation, at_once = excluded.at_once, state = 'running', reason = '',
           difference = NULL, started_at = now(), going_since = now(), worked_seconds = 0
""")
_ALL = sql.SQL("""
    SELECT projection, generation, at_once, state, reason, started_at FROM public.rebuilds ORDER BY projection
""")
_TO = sql.SQL("""
    UPDATE public.rebuilds
       SET worked_seconds = worked_seconds
             + CASE WHEN state = 'running' THEN extract(epoch FROM now() - going_since) ELSE 0 END,
           going_since = now(), state = %s, reason = %s
     WHERE projection = %s AND state = ANY(%s)
""")
_BUILT = sql.SQL("""
    UPDATE public.rebuilds
       SET state = 'built', reason = '', difference = %s, going_since = now(),
           worked_seconds = worked_seconds + extract(epoch FROM now() - going_since)
     WHERE projection = %s AND state = 'running' AND started_at = %s
""")
_REASON = sql.SQL("UPDATE public.rebuilds SET reason = %s WHERE projection = %s")
_NO_SHADOW = sql.SQL("""
    UPDATE public.projections SET shadow_version = NULL, shadow_built_at = NULL WHERE name = %s
""")


class NotInThisState(Refusal):
    """No rebuild of this read model is in a state where this can be done."""


class Rested(Exception):
    """The rebuild was paused or cancelled meanwhile."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """One row of `public.rebuilds`: the last rebuild of a projection."""

    projection: str
    generation: str
    at_once: bool
    state: str
    reason: str
    started_at: datetime

    @property
    def shadow(self) -> Unit:
        return Unit(self.projection, self.generation)


async def all_rebuilds(connection: Connection) -> Mapping[str, Rebuild]:
    """The last rebuild of each projection that had one."""
    async with connection.cursor(row_factory=class_row(Rebuild)) as cursor:
        await cursor.execute(_ALL)
        return {row.projection: row for row in await cursor.fetchall()}


async def start(tools: Tools, projection: Projection, *, at_once: bool) -> None:
    """Empty the shadow and let the rebuild begin. Raises NothingToRebuild, RebuildUnderWay and SwitchedMeanwhile."""
    async with tools.pool.connection() as connection:
        epoch, partitions = await generations.installed(connection) or (0, 0)
        known = (await generations.registered(connection)).get(projection.name)
        if known is None:
            raise NothingToRebuild
        async with claimed(connection, known.shadow) as mine:
            if not mine:
                raise RebuildUnderWay(f"Somebody else is building {known.shadow} just now.")
            await generations.until_unread(connection, [projection.name])
            async with connection.transaction():
                await begin(connection, [(known, projection)], epoch, partitions)
                await connection.execute(_BEGUN, (projection.name, known.shadow.generation, at_once))


async def pause(tools: Tools, name: str) -> None:
    """Raises NotInThisState."""
    await _move(tools, name, "paused", ("running",))


async def resume(tools: Tools, name: str) -> None:
    """Raises NotInThisState."""
    await _move(tools, name, "running", ("paused",))


async def cancel(tools: Tools, projection: Projection) -> None:
    """Forget what was rebuilt; the live generation is not touched. Raises NotInThisState and SwitchedMeanwhile."""
    async with tools.pool.connection() as connection:
        await generations.until_unread(connection, [projection.name])
        async with connection.transaction():
            await _cancel(connection, projection)


async def _cancel(connection: Connection, projection: Projection) -> None:
    _, partitions = await generations.installed(connection) or (0, 0)
    await checkpoints.lock_gates(connection, range(partitions))
    rebuild = (await all_rebuilds(connection)).get(projection.name)
    if rebuild is None or rebuild.state not in {"running", "paused", "built"}:
        raise NotInThisState
    known = (await generations.registered(connection))[projection.name]
    if known.live == rebuild.shadow or await generations.still_read(connection, [projection.name]):
        raise SwitchedMeanwhile
    await forget(connection, rebuild.shadow, projection)
    await connection.execute(_NO_SHADOW, (projection.name,))
    await connection.execute(_TO, ("cancelled", "", projection.name, ["running", "paused", "built"]))


async def switched(tools: Tools, name: str) -> None:
    """The rebuilt generation answers now."""
    async with tools.pool.connection() as connection:
        await connection.execute(_TO, ("switched", "", name, ["built", "running"]))


async def _move(tools: Tools, name: str, state: str, before: Sequence[str]) -> None:
    async with tools.pool.connection() as connection:
        if (await connection.execute(_TO, (state, "", name, list(before)))).rowcount == 0:
            raise NotInThisState


class Rebuilding:
    """Works on the rebuilds that are running; `going` names them, and what leaves it rests at the next stretch."""

    def __init__(self, tools: Tools, engine: Engine, partitions: int) -> None:
        self._tools = tools
        self._engine = engine
        self._partitions = partitions
        self.going: frozenset[str] = frozenset()

    async def look(self) -> Sequence[Rebuild]:
        """The rebuilds that are running, as the books have them."""
        async with self._tools.pool.connection() as connection:
            running = [each for each in (await all_rebuilds(connection)).values() if each.state == "running"]
        self.going = frozenset(rebuild.projection for rebuild in running)
        return running

    async def work(self, rebuild: Rebuild, projection: Projection) -> None:
        """Bring a rebuild to its end, or as far as it goes. Raises Rested and what catching up raises."""
        async with self._tools.pool.connection() as connection, claimed(connection, rebuild.shadow) as mine:
            if not mine:
                return
            await self._replay(connection, rebuild)
        await self._finish(rebuild, projection)

    async def _replay(self, connection: Connection, rebuild: Rebuild) -> None:
        def go_on(*_: int) -> None:
            if rebuild.projection not in self.going:
                raise Rested

        catching_up = CatchingUp(self._engine, self._tools.feed, go_on)
        for partition in range(self._partitions):
            go_on()
            if await _is_behind(connection, rebuild.shadow, partition):
                await catching_up.run(connection, [rebuild.shadow], partition)

    async def _finish(self, rebuild: Rebuild, projection: Projection) -> None:
        name = rebuild.projection
        found = await diff(self._tools, self._engine, projection)
        counted = {key: count for key, count in found.as_dict().items() if key != "first"}
        async with self._tools.pool.connection() as connection:
            built = (await connection.execute(_BUILT, (Jsonb(counted), name, rebuild.started_at))).rowcount == 1
        if built and rebuild.at_once:  # else an operator was faster: it rests, is forgotten, or has begun anew
            await self._switch(name)

    async def _switch(self, name: str) -> None:
        try:
            await switch(self._tools.pool, name)
        except WouldGoBack as refusal:
            async with self._tools.pool.connection() as connection:
                await connection.execute(_REASON, (refusal.detail, name))
        else:
            await switched(self._tools, name)


async def _is_behind(connection: Connection, shadow: Unit, partition: int) -> bool:
    found = {each.unit: each.position for each in await checkpoints.read(connection, [partition])}
    if shadow not in found:
        raise Rested
    return found[shadow] < found[LOG]
