"""People who read while read models are built anew: every answer must come, and none may be older than the last."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.support.load import Author
from tests.support.stack import Stack

READERS = 4
PAUSE = 0.02
"""Seconds between a reader's questions, and between two changes of what is watched."""

Question = Callable[[], Coroutine[Any, Any, httpx2.Response]]


@dataclass
class Readings:
    """When questions were asked and how long their answers took (seconds), and what was seen of the watched row."""

    answers: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    written: int = 0

    def between(self, begun: float, ended: float) -> dict[str, float]:
        """Milliseconds, and how many."""
        found = sorted(took for at, took in self.answers if begun <= at <= ended)
        return {
            "reads": len(found),
            "p50_ms": round(1e3 * found[len(found) // 2], 1),
            "p99_ms": round(1e3 * found[int(len(found) * 0.99)], 1),
            "max_ms": round(1e3 * found[-1], 1),
        }


@asynccontextmanager
async def reading(stack: Stack, author: Author, watched: str, others: Sequence[str]) -> AsyncIterator[Readings]:
    """Readers ask for rows and lists, one of them always for a row that somebody keeps changing."""
    readings, stop = Readings(), asyncio.Event()
    async with httpx2.AsyncClient(timeout=30, headers=author.headers) as http:
        tasks = [asyncio.create_task(_watch(stack, http, watched, readings, stop))]
        tasks += [asyncio.create_task(_change(stack, http, watched, readings, stop))]
        tasks += [asyncio.create_task(_read(stack, http, others, readings, stop)) for _ in range(READERS)]
        try:
            yield readings
        finally:
            stop.set()
            await asyncio.gather(*tasks)


async def _ask(http: httpx2.AsyncClient, url: str, readings: Readings) -> httpx2.Response:
    at = time.perf_counter()
    answer = await http.get(url)
    readings.answers.append((at, time.perf_counter() - at))
    if answer.status_code != 200:
        readings.failures.append(f"{url}: {answer.status_code} {answer.text}")
    await asyncio.sleep(PAUSE)
    return answer


async def _watch(stack: Stack, http: httpx2.AsyncClient, watched: str, readings: Readings, stop: asyncio.Event) -> None:
    while not stop.is_set():
        answer = await _ask(http, f"{stack.query_url}/v1/resources/{watched}", readings)
        if answer.status_code == 200:
            readings.seen.append(int(answer.json()["version"]))


async def _read(
    stack: Stack, http: httpx2.AsyncClient, others: Sequence[str], readings: Readings, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        one = random.choice(others)  # noqa: S311 - no secret is made of it
        await _ask(http, f"{stack.query_url}/v1/resources/{one}", readings)
        await _ask(http, f"{stack.query_url}/v1/resources?limit=20", readings)


async def _change(
    stack: Stack, http: httpx2.AsyncClient, watched: str, readings: Readings, stop: asyncio.Event
) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    while not stop.is_set():
        body = f'{{"name": "watched {readings.written}"}}'
        answer = await http.patch(f"{stack.command_url}/v1/resources/{watched}", content=body, headers=headers)
        if answer.status_code == 200:
            readings.written = int(answer.json()["version"])
        else:
            readings.failures.append(f"{answer.status_code} {answer.text}")
        await asyncio.sleep(PAUSE)
