"""Pauses between attempts grow, start anew after a success, and end at once when the process stops."""

import asyncio
import time

from shared_kernel.messaging.backoff import Backoff, pause


async def took(waiting: "asyncio.Future[None] | asyncio.Task[None]") -> float:
    started = time.monotonic()
    await waiting
    return time.monotonic() - started


async def test_pause_lasts_as_long_as_it_is_told() -> None:
    assert await took(asyncio.ensure_future(pause(asyncio.Event(), 0.05))) >= 0.045


async def test_pause_ends_at_once_when_the_process_stops() -> None:
    stop = asyncio.Event()
    waiting = asyncio.ensure_future(pause(stop, 60))
    await asyncio.sleep(0)
    stop.set()
    assert await took(waiting) < 5


async def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(asyncio.Event(), first=0.01, longest=0.03)
    lengths = [await took(asyncio.ensure_future(backoff.pause())) for _ in range(4)]
    assert lengths[0] >= 0.009
    assert lengths[1] >= 0.019
    assert min(lengths[2:]) >= 0.029


async def test_success_makes_the_next_pause_short_again() -> None:
    stop = asyncio.Event()
    backoff = Backoff(stop, first=0.01, longest=60)
    for _ in range(3):
        await backoff.pause()
    backoff.reset()
    assert await took(asyncio.ensure_future(backoff.pause())) < 5
    assert backoff._next == 0.02
