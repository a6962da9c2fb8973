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


async def end(*tasks: asyncio.Task[Any] | None, again: float | None = None) -> None:
    """Cancel tasks until each has ended, however it ends; an error that one ended with stays in the task.

    Once may not be enough: a driver that is interrupted while it asks a database may answer with an error of its own
    instead, and before Python 3.12 `asyncio.wait_for`, with which psycopg and redis wait, loses a cancellation that
    arrives together with what it waits for. A task that needs its time to end is told again after `again` seconds only.
    """
    going_on = {task for task in tasks if task is not None}
    while going_on := {task for task in going_on if not task.done()}:
        for task in going_on:
            task.cancel()
        await asyncio.wait(going_on, timeout=AGAIN if again is None else again)
    await asyncio.gather(*filter(None, tasks), return_exceptions=True)  # so that none is said never to have been read
