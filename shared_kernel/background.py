"""Tasks that run beside the requests, and how they are brought to their end."""

import asyncio
from typing import Any

AGAIN = 0.5
"""Seconds after which a task that has not ended is told once more."""


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task until it has ended, however it ends.

    Once may not be enough: a driver that is interrupted while it asks a database may answer with an error of its own
    instead, and before Python 3.12 `asyncio.wait_for`, with which psycopg waits, loses a cancellation that arrives
    together with what it waits for.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
