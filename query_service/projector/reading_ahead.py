"""Reading what comes next while a large batch is being written: a projector that is behind waits for nobody.

What was read is prepared too, so that while the database writes one batch this process decodes the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from query_service.projector.batch import Slice
from query_service.projector.decoding import Prepared
from query_service.projector.source import Cursor, Reading
from shared_kernel.errors import TwinlogError

WORTH_WHILE = 1_000
"""Events in a reading from which on there is likely to be more; a projector that is level has nothing to read ahead."""


Prepare = Callable[[Slice], Awaitable[Prepared]]
"""Raises TwinlogError for what cannot be handled."""

Read = Callable[[Sequence[Cursor], float], Awaitable[Reading]]
"""As `Source.read`."""


class ReadingAhead:
    """A source that may have been asked already, in the hope that what was read before is written by now.

    Nothing is taken on trust: what was read ahead counts only if every cursor stands where the hope has put it.
    """

    def __init__(self, read: Read, prepare: Prepare) -> None:
        self._read = read
        self._prepare = prepare
        self._hoped: list[Cursor] = []
        self._task: asyncio.Task[Reading] | None = None

    async def read(self, cursors: Sequence[Cursor], patience: float) -> Reading:
        """The next events after each cursor, as `Source.read`. Raises redis.RedisError."""
        if self._task is not None and self._hoped == list(cursors):
            task, self._task = self._task, None
            return await task
        await self.forget()
        return await self._read(cursors, patience)

    def start(self, cursors: Sequence[Cursor], reading: Reading) -> None:
        """Begin to read what follows a reading, if that was large."""
        if sum(len(events.rows) for events in reading.slices) < WORTH_WHILE:
            return
        ends = {events.partition: Cursor(events.partition, events.epoch, events.upto) for events in reading.slices}
        self._hoped = [ends.get(cursor.partition, cursor) for cursor in cursors]
        self._task = asyncio.create_task(self._read_ahead())

    async def _read_ahead(self) -> Reading:
        reading = await self._read(self._hoped, 0)
        for events in reading.slices:
            await asyncio.sleep(0)  # the batch that is being written comes first
            with suppress(TwinlogError):  # whoever handles the slice meets it again, and says so
                reading.prepared[events.partition] = await self._prepare(events)
        return reading

    async def forget(self) -> None:
        """Let go of what was read ahead; its errors are of no interest."""
        task, self._task = self._task, None  # waited for: to interrupt it would cost a connection
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
