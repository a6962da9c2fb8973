"""One unit's share of a batch inside a transaction: rows are read, folded and written for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor

from query_service.infrastructure.projection import Key, Row
from query_service.projector.checkpoints import Unit
from query_service.projector.folding import Pass, Step
from query_service.projector.rows import TableRows
from query_service.projector.trouble import Trouble, unwritable
from shared_kernel.errors import TwinlogError

Connection = AsyncConnection[Any]


class BrokenProjection(TwinlogError):
    """A projection's keys or rows are not of the types that its table declares."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one unit has to do for one batch."""

    unit: Unit
    table: TableRows
    steps: Sequence[Step]
    folding: Pass

    async def ask(self, connection: Connection) -> AsyncCursor[Row]:
        """A cursor that will hold the rows which the batch touches. Raises BrokenProjection."""
        return await self._ask(connection, self.steps)

    async def loaded(self, cursor: AsyncCursor[Row]) -> Mapping[Key, Row]:
        """Those rows by key. Raises BrokenProjection when they do not have the keys that were asked for."""
        rows = self.table.by_key(await cursor.fetchall())
        if not rows.keys() <= {step.key for step in self.steps}:
            raise BrokenProjection(f"{self.unit.projection} computes keys of other types than its table has.")
        return rows

    async def write(self, connection: Connection) -> None:
        """Write what folding has changed. Raises BrokenProjection."""
        try:
            await self.table.write(connection, self.folding.take_changes())
        except TypeError as error:
            raise BrokenProjection(f"{self.unit.projection} makes a row that cannot be stored: {error}.") from error

    async def fold_one_by_one(self, connection: Connection) -> None:
        """Each event in a savepoint of its own, so that one which cannot be stored parks its stream alone."""
        for step in self.steps:
            try:
                async with connection.transaction():
                    await self._one(connection, step)
            except BrokenProjection as error:
                self.folding.undo(step, Trouble.of(error))
            except psycopg.Error as error:
                if not unwritable(error):
                    raise
                self.folding.undo(step, Trouble.of(error))

    async def _one(self, connection: Connection, step: Step) -> None:
        if step.fold is not None and step.key not in self.folding.rows:
            self.folding.rows |= await self.loaded(await self._ask(connection, [step]))
        self.folding.run([step])
        await self.write(connection)

    async def _ask(self, connection: Connection, steps: Sequence[Step]) -> AsyncCursor[Row]:
        keys = {step.key for step in steps if step.fold is not None}
        try:
            return await self.table.ask(connection, keys)
        except TypeError as error:
            raise BrokenProjection(f"{self.unit.projection} computes a key that cannot be stored: {error}.") from error
