"""Comparing the two generations of a read model row by row, at exactly the same positions, in one snapshot."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from query_service.infrastructure.projection import Projection, Table
from query_service.projector import checkpoints, generations
from query_service.projector.catch_up import CatchingUp, claimed
from query_service.projector.checkpoints import Unit
from query_service.projector.engine import Engine
from query_service.projector.shift import Tools
from shared_kernel.errors import Refusal

Connection = AsyncConnection[Any]
SHOWN = 10
"""How many differing rows are named."""

ATTEMPTS = 20
PAUSE = 0.25

_SNAPSHOT = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_COUNT = sql.SQL("""
    SELECT count({live_key}) AS rows,
           count(*) FILTER (WHERE {shadow_key} IS NULL) AS missing,
           count(*) FILTER (WHERE {live_key} IS NULL) AS unexpected,
           count(*) FILTER (WHERE {live_key} IS NOT NULL AND {shadow_key} IS NOT NULL AND {differ}) AS different
      FROM {live} AS live FULL JOIN {shadow} AS shadow ON {same}
""")
_FIRST = sql.SQL("""
    SELECT {keys} FROM {live} AS live FULL JOIN {shadow} AS shadow ON {same}
     WHERE {differ} ORDER BY {keys} LIMIT {shown}
""")


class NoShadow(Refusal):
    """There is no second generation to compare with: rebuild the read model first."""


class NeverLevel(Refusal):
    """The other generation is not level with the live one: somebody is building it just now; try again later."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`rows` of the live generation; of the rebuilt one, how many rows are missing, unexpected or different.

    `first` are the keys of the first of them, column by column.
    """

    rows: int
    missing: int
    unexpected: int
    different: int
    first: Sequence[Sequence[str]]

    @property
    def empty(self) -> bool:
        return self.missing == self.unexpected == self.different == 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def diff(tools: Tools, engine: Engine, projection: Projection) -> Difference:
    """Bring the shadow level with the live generation if it is not, then compare.

    Both generations move in the same transactions once they are level, so one snapshot shows both at the same
    positions. Raises NoShadow, NeverLevel and what catching up raises.
    """
    async with tools.pool.connection() as connection:
        known = (await generations.registered(connection)).get(projection.name)
        if known is None or known.shadow_version is None:
            raise NoShadow(f"{projection.name} has no second generation: rebuild it first.")
        for _ in range(ATTEMPTS):
            async with connection.transaction():
                await connection.execute(_SNAPSHOT)
                late = await _late(connection, known.live, known.shadow)
                if not late:
                    return await _compare(connection, projection.table, known.live, known.shadow)
            await _level(connection, CatchingUp(engine, tools.feed), known.shadow, late)
        raise NeverLevel


async def _late(connection: Connection, live: Unit, shadow: Unit) -> Sequence[int]:
    """The partitions in which the two do not stand at the same position."""
    _, partitions = await generations.installed(connection) or (0, 0)
    found = await checkpoints.read(connection, range(partitions))
    positions = {(each.unit, each.partition): each.position for each in found}
    return [
        number
        for number in range(partitions)
        if positions.get((live, number)) is None or positions.get((live, number)) != positions.get((shadow, number))
    ]


async def _level(connection: Connection, catching_up: CatchingUp, shadow: Unit, partitions: Sequence[int]) -> None:
    async with claimed(connection, shadow) as mine:
        if not mine:
            await asyncio.sleep(PAUSE)
            return
        for partition in partitions:
            await catching_up.run(connection, [shadow], partition)


async def _compare(connection: Connection, table: Table, live: Unit, shadow: Unit) -> Difference:
    parts = _parts(table, live.generation, shadow.generation)
    counted = await (await connection.execute(_COUNT.format(**parts))).fetchone()
    rows, missing, unexpected, different = counted or (0, 0, 0, 0)
    first: Sequence[Sequence[str]] = []
    if missing or unexpected or different:
        first = await (await connection.execute(_FIRST.format(**parts))).fetchall()
    return Difference(rows, missing, unexpected, different, [list(key) for key in first])


def _parts(table: Table, live: str, shadow: str) -> dict[str, sql.Composable]:
    key = [sql.Identifier(column) for column in table.key]
    columns = [sql.Identifier(column) for column in table.columns]
    row = sql.SQL("ROW({})")
    return {
        "live": sql.Identifier(live, table.name),
        "shadow": sql.Identifier(shadow, table.name),
        "live_key": sql.SQL("live.{}").format(key[0]),
        "shadow_key": sql.SQL("shadow.{}").format(key[0]),
        "same": sql.SQL(" AND ").join(sql.SQL("live.{0} = shadow.{0}").format(column) for column in key),
        "differ": sql.SQL("{} IS DISTINCT FROM {}").format(
            row.format(sql.SQL(", ").join(sql.SQL("live.{}").format(column) for column in columns)),
            row.format(sql.SQL(", ").join(sql.SQL("shadow.{}").format(column) for column in columns)),
        ),
        "keys": sql.SQL(", ").join(sql.SQL("coalesce(live.{0}, shadow.{0})::text").format(column) for column in key),
        "shown": sql.Literal(SHOWN),
    }
