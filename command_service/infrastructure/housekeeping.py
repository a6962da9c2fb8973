"""What the command service does besides answering: answers kept under idempotency keys are forgotten after a day."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from shared_kernel.background import end
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import get_logger

INTERVAL = 600.0
AT_ONCE = 10_000

_log = get_logger("twinlog.housekeeping")


class Answers(Protocol):
    """The part of the event store that keeps answers."""

    async def forget_answers(self, at_most: int) -> int: ...


@asynccontextmanager
async def forgetting(answers: Answers, interval: float = INTERVAL) -> AsyncIterator[None]:
    """Forget old answers every `interval` seconds as long as the context is open."""
    task = asyncio.create_task(_forget_for_ever(answers, interval))
    try:
        yield
    finally:
        await end(task)


async def _forget_for_ever(answers: Answers, interval: float) -> None:
    while True:
        forgotten = await _forget(answers)
        if forgotten < AT_ONCE:  # else there may be more
            await asyncio.sleep(interval)


async def _forget(answers: Answers) -> int:
    """A bounded number at a time, so that no statement is long."""
    try:
        return await answers.forget_answers(AT_ONCE)
    except TwinlogError as error:
        _log.warning("old answers could not be forgotten", problem=error.code())
        return 0
