"""Checkpoints: how far each generation of each projection has come in each partition, and the fence around them.

The row of the audit copy is the gate of its partition: whoever moves that partition on locks it first, then, in a
later statement (so with a newer snapshot), the rows of all projections that stand at the same position.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.errors import TwinlogError

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """What has checkpoints of its own: one generation of one projection, or the audit copy."""

    projection: str
    generation: str

    def __str__(self) -> str:
        return f"{self.projection}/{self.generation}"


LOG = Unit(AUDIT_COPY, "blue")

Members = Mapping[Unit, frozenset[int]]
"""Units that take part in a transaction, and in which partitions."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything of the partition up to `position` is handled or parked, in this epoch of the log."""

    unit: Unit
    partition: int
    position: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Advance:
    """A checkpoint's new position and what is added to its sum of handled events."""

    unit: Unit
    partition: int
    position: int
    handled: int


class Fenced(TwinlogError):
    """Another process has moved the checkpoint on meanwhile; what was read is thrown away."""


_READ = sql.SQL("""
    SELECT projection, generation, partition, position, epoch FROM public.checkpoints
     WHERE partition = ANY(%s) ORDER BY projection, generation, partition
""")
_GATES = sql.SQL("""
    SELECT partition, position, epoch FROM public.checkpoints
     WHERE projection = %s AND generation = %s AND partition = ANY(%s) ORDER BY partition FOR UPDATE
""")
_MEMBERS = sql.SQL("""
    SELECT c.projection, c.generation, c.partition
      FROM public.checkpoints AS c
      JOIN unnest(%s::integer[], %s::bigint[]) AS gate (partition, position) USING (partition, position)
     ORDER BY c.projection, c.generation, c.partition FOR UPDATE OF c
""")
_UNITS = sql.SQL("""
    SELECT c.projection, c.generation, c.position
      FROM public.checkpoints AS c
      JOIN unnest(%s::text[], %s::text[]) AS wanted (projection, generation) USING (projection, generation)
     WHERE c.partition = %s AND c.epoch = %s ORDER BY c.projection, c.generation FOR UPDATE OF c
""")
_ADVANCE = sql.SQL("""
    UPDATE public.checkpoints AS c
       SET position = step.position, updated_at = clock_timestamp(),
           handled_sum = mod(c.handled_sum + step.handled, 2::numeric ^ 256)
      FROM unnest(%s::text[], %s::text[], %s::integer[], %s::bigint[], %s::numeric[])
           AS step (projection, generation, partition, position, handled)
     WHERE c.projection = step.projection AND c.generation = step.generation AND c.partition = step.partition
       AND c.position <= step.position
""")


async def read(connection: Connection, partitions: Iterable[int]) -> Sequence[Checkpoint]:
    """All checkpoints of these partitions."""
    cursor = await connection.execute(_READ, (list(partitions),))
    return [Checkpoint(Unit(name, generation), *rest) for name, generation, *rest in await cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Gate:
    """Where the audit copy of a partition stands, and in which epoch of the log."""

    position: int
    epoch: int


async def lock_gates(connection: Connection, partitions: Iterable[int]) -> Mapping[int, Gate]:
    """Lock the gates of these partitions in order; where they stand."""
    cursor = await connection.execute(_GATES, (LOG.projection, LOG.generation, list(partitions)))
    return {partition: Gate(*rest) for partition, *rest in await cursor.fetchall()}


async def enter(connection: Connection, expected: Mapping[int, Gate]) -> Members:
    """Lock the gates and everything that stands where they do. Raises Fenced if a gate is elsewhere."""
    if await lock_gates(connection, expected) != dict(expected):
        raise Fenced
    positions = [gate.position for gate in expected.values()]
    cursor = await connection.execute(_MEMBERS, (list(expected.keys()), positions))
    members: dict[Unit, set[int]] = {}
    for name, generation, partition in await cursor.fetchall():
        members.setdefault(Unit(name, generation), set()).add(partition)
    return {unit: frozenset(partitions) for unit, partitions in members.items()}


async def enter_alone(connection: Connection, units: Sequence[Unit], partition: int, expected: Gate) -> Members:
    """Lock these units' checkpoints, not the gate. Raises Fenced unless all stand where expected."""
    names, generations = [unit.projection for unit in units], [unit.generation for unit in units]
    cursor = await connection.execute(_UNITS, (names, generations, partition, expected.epoch))
    found = {Unit(name, generation): position for name, generation, position in await cursor.fetchall()}
    if found != dict.fromkeys(units, expected.position):
        raise Fenced
    return dict.fromkeys(units, frozenset((partition,)))


async def advance(connection: Connection, steps: Sequence[Advance]) -> None:
    """Move checkpoints on. Raises Fenced unless every one of them was there to be moved forward."""
    columns = zip(
        *((s.unit.projection, s.unit.generation, s.partition, s.position, s.handled) for s in steps), strict=True
    )
    cursor = await connection.execute(_ADVANCE, [list(column) for column in columns])
    if cursor.rowcount != len(steps):
        raise Fenced
