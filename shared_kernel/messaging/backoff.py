"""Waiting between attempts: pauses that grow while something is away and end at once when the process stops."""

import asyncio


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for `seconds`, or less if `stop` is set meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


class Backoff:
    """Pauses of `first` seconds, doubling up to `longest`; `reset` after a success."""

    def __init__(self, stop: asyncio.Event, *, first: float = 0.1, longest: float = 5.0) -> None:
        self._stop = stop
        self._first = first
        self._longest = longest
        self._next = first

    async def pause(self) -> None:
        await pause(self._stop, self._next)
        self._next = min(self._next * 2, self._longest)

    def reset(self) -> None:
        self._next = self._first
