"""Reading what comes next while a large batch is being written: a projector that is behind waits for nobody.

What was read is made ready too, so that while the database writes one batch this process decodes the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from query_service.projector.batch import Slice
from query_service.projector.decoding import Ready
from query_service.projector.source import Cursor, Reading
from shared_kernel.errors import TwinlogError

WORTH_WHILE = 1_000
"""Events in a reading from which on there is likely to be more; a projector that is level has nothing to read ahead."""


MakeReady = Callable[[Slice], Awaitable[Ready]]
"""Raises TwinlogError for what cannot be handled."""


class Reads(Protocol):
    """Where events come from; a `Source`."""

    async def read(self, cursors: Sequence[Cursor], patience: float, /) -> Reading: ...


class ReadingAhead:
    """A source that may have been asked already, in the hope that what was read before is written by now.

    Nothing is taken on trust: what was read ahead counts only if every cursor stands where the hope has put it.
    """

    def __init__(self, source: Reads, make_ready: MakeReady) -> None:
        self._source = source
        self._make_ready = make_ready
        self._hoped: list[Cursor] = []
        self._task: asyncio.Task[Reading] | None = None

    async def read(self, cursors: Sequence[Cursor], patience: float) -> Reading:
        """The next events after each cursor, as `Source.read`. Raises redis.RedisError."""
        if self._task is not None and self._hoped == list(cursors):
            task, self._task = self._task, None
            return await task
        await self.forget()
        return await self._source.read(cursors, patience)

    def start(self, cursors: Sequence[Cursor], reading: Reading) -> None:
        """Begin to read what follows a reading, if that was large."""
        if sum(len(events.rows) for events in reading.slices) < WORTH_WHILE:
            return
        ends = {events.partition: Cursor(events.partition, events.epoch, events.upto) for events in reading.slices}
        self._hoped = [ends.get(cursor.partition, cursor) for cursor in cursors]
        self._task = asyncio.create_task(self._read_ahead())

    async def _read_ahead(self) -> Reading:
        reading = await self._source.read(self._hoped, 0)
        for events in reading.slices:
            await asyncio.sleep(0)  # the batch that is being written comes first
            with suppress(TwinlogError):  # whoever handles the slice meets it again, and says so
                reading.ready[events.partition] = await self._make_ready(events)
        return reading

    async def forget(self) -> None:
        """Let go of what was read ahead; its errors are of no interest."""
        task, self._task = self._task, None
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
