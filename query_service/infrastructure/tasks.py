"""Ending background tasks for certain."""

import asyncio
from typing import Any

AGAIN = 0.5
"""Seconds after which a task that has not ended is told once more."""


async def end(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task until it has ended, whatever it ends with.

    Once may not be enough: before Python 3.12 `asyncio.wait_for`, with which psycopg waits, loses a cancellation that
    arrives together with what it waits for.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=AGAIN)
