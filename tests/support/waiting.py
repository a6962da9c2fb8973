"""Waiting with a deadline, and words for what did not come."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

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
