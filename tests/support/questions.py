"""Readers who keep asking through whatever happens, and what they were told."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from tests.support.load import Author
from tests.support.stack import Stack
from tests.support.waiting import eventually

READERS = 2
PAUSE = 0.02
"""Seconds between two questions of a reader."""

ANSWERS = {200, 503}
"""What a reader may hear; nothing at all of a process that is not there."""


@dataclass
class Questions:
    """`statuses` counts the answers, `in_flight` the questions that wait for one now."""

    statuses: Counter[int] = field(default_factory=Counter)
    in_flight: int = 0
    unheard: int = 0

    @property
    def answered(self) -> int:
        return self.statuses[200]

    async def reach(self, count: int) -> None:
        """Wait until so many are answered."""
        await eventually(lambda: self.answered >= count or self.statuses.keys() - ANSWERS, f"{count} answers", 60)
        assert self.statuses.keys() <= ANSWERS, self.statuses


@asynccontextmanager
async def under_questions(stack: Stack, author: Author) -> AsyncIterator[Questions]:
    """Keep asking the query API for the author's resources while the block runs."""
    questions, stop = Questions(), asyncio.Event()
    async with httpx2.AsyncClient(timeout=10, headers=author.headers) as http:
        url = f"{stack.query_url}/v1/resources?owner={author.user_id}&limit=20"
        readers = [asyncio.create_task(_read(http, url, questions, stop)) for _ in range(READERS)]
        try:
            yield questions
        finally:
            stop.set()
            await asyncio.gather(*readers)
    assert questions.statuses.keys() <= ANSWERS, questions.statuses


async def _read(http: httpx2.AsyncClient, url: str, questions: Questions, stop: asyncio.Event) -> None:
    while not stop.is_set():
        questions.in_flight += 1
        try:
            questions.statuses[(await http.get(url)).status_code] += 1
        except httpx2.TransportError:
            questions.unheard += 1
        finally:
            questions.in_flight -= 1
        await asyncio.sleep(PAUSE)
