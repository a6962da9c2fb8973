"""Tasks that run beside the requests, and how they are brought to their end."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

AGAIN = 0.5
"""Seconds after which a task that has not ended is told once more."""


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> Sequence[T]:
    """Several things at once, in their order; the first error ends the others and is raised once they have ended."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task until it has ended, however it ends.

    Once may not be enough: a driver that is interrupted while it asks a database may answer with an error of its own
    instead, and before Python 3.12 `asyncio.wait_for`, with which psycopg waits, loses a cancellation that arrives
    together with what it waits for.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
