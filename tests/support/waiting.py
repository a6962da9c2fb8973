"""Waiting with a deadline, and words for what did not come."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from shared_kernel.background import end
from shared_kernel.web.server import GRACE_SECONDS

LOOK_EVERY = 0.05


async def eventually(holds: Callable[[], Any | Awaitable[Any]], what: str, seconds: float = 30.0) -> None:
    """Return once `holds()` is true; after that many seconds fail and say what was waited for."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = holds()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(LOOK_EVERY)


async def server_ended(serving: asyncio.Task[Any]) -> None:
    """Stop a server of this process; whatever else it ended with is raised."""
    await end(serving, again=GRACE_SECONDS + 5.0)
    if not serving.cancelled():
        serving.result()


async def ended(task: asyncio.Task[Any], seconds: float = 30.0) -> None:
    """Wait for a task that was told to stop; one that does not in time is ended all the same, and that is a failure."""
    _, late = await asyncio.wait((task,), timeout=seconds)
    await end(task)
    assert not late, f"told to stop, {task.get_coro()} had not ended after {seconds:g} s"
    task.result()
