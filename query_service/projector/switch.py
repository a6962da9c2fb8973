"""Letting the other generation of a read model answer questions, and the way back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from query_service.projector import checkpoints, generations
from query_service.projector.checkpoints import Unit
from query_service.projector.engine import CHANNEL
from query_service.projector.generations import Registered
from shared_kernel.errors import Refusal

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

_BOTH = sql.SQL("""
    SELECT generation, partition, position FROM public.checkpoints
     WHERE projection = %s ORDER BY generation, partition FOR UPDATE
""")
_PARKED_ONLY = sql.SQL("""
    SELECT count(*) FROM (
        SELECT tenant, stream FROM public.parked_events WHERE projection = %(name)s AND generation = %(new)s
        EXCEPT
        SELECT tenant, stream FROM public.parked_events WHERE projection = %(name)s AND generation = %(old)s
    ) AS worse
""")
_SWITCH = sql.SQL("""
    UPDATE public.projections
       SET active = %s, version = shadow_version, shadow_version = version, switched_at = clock_timestamp()
     WHERE name = %s
""")
_NOTIFY = sql.SQL("SELECT pg_notify(%s, '')")


class NothingToSwitchTo(Refusal):
    """There is no newly built generation: rebuild the read model first."""


class NothingToRollBackTo(Refusal):
    """The generation that was live before is gone or was built anew."""


class WouldGoBack(Refusal):
    """The other generation knows less than the live one; readers would see an older state."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What answers questions now."""

    name: str
    generation: str
    version: int


async def switch(pool: Pool, name: str) -> Switched:
    """Let the newly built generation answer. Raises NothingToSwitchTo and WouldGoBack."""
    async with pool.connection() as connection, connection.transaction():
        known = await _locked(connection, name)
        if known is None or known.shadow_version is None or not known.shadow_is_new:
            raise NothingToSwitchTo(f"{name} has no newly built generation: rebuild it first.")
        return await _move(connection, known, known.shadow_version)


async def roll_back(pool: Pool, name: str) -> Switched:
    """Let the generation answer that was live before the last switch. Raises NothingToRollBackTo and WouldGoBack."""
    async with pool.connection() as connection, connection.transaction():
        known = await _locked(connection, name)
        if known is None or known.shadow_version is None or known.shadow_is_new:
            raise NothingToRollBackTo(f"{name} has no generation that was live before.")
        return await _move(connection, known, known.shadow_version)


async def _locked(connection: Connection, name: str) -> Registered | None:
    """The projection's row while no batch is under way."""
    _, partitions = await generations.installed(connection) or (0, 0)
    await checkpoints.lock_gates(connection, range(partitions))
    return (await generations.registered(connection)).get(name)


async def _move(connection: Connection, known: Registered, version: int) -> Switched:
    cursor = await connection.execute(_BOTH, (known.name,))
    positions: dict[Unit, dict[int, int]] = {known.live: {}, known.shadow: {}}
    for generation, partition, position in await cursor.fetchall():
        positions[Unit(known.name, generation)][partition] = position
    _require_level(known, positions[known.live], positions[known.shadow])
    await _require_nothing_worse(connection, known)
    await connection.execute(_SWITCH, (known.shadow.generation, known.name))
    await connection.execute(_NOTIFY, (CHANNEL,))
    return Switched(known.name, known.shadow.generation, version)


def _require_level(known: Registered, live: Mapping[int, int], shadow: Mapping[int, int]) -> None:
    behind = [partition for partition, position in live.items() if shadow.get(partition, -1) < position]
    if behind:
        raise WouldGoBack(f"{known.shadow} is behind the live rows in {len(behind)} partitions; let it catch up first.")


async def _require_nothing_worse(connection: Connection, known: Registered) -> None:
    names = {"name": known.name, "new": known.shadow.generation, "old": known.live.generation}
    (worse,) = await (await connection.execute(_PARKED_ONLY, names)).fetchone() or (0,)
    if worse:
        raise WouldGoBack(
            f"{known.shadow} has parked {worse} streams that the live rows show; see `twinlog parked list`."
        )
