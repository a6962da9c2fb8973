"""Tasks that run beside the requests, and how they are brought to their end."""

import asyncio
from typing import Any

INSIST = 0.5


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended, however it ends.

    It is told again and again: a driver that is interrupted while it asks a database may answer with an error of its
    own instead, and a task that survives errors would go on for ever.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=INSIST)
