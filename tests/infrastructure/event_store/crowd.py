"""Clients that keep appending through whatever happens, each under a key that it repeats until it knows."""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared_kernel.background import end
from tests.infrastructure.event_store.appending import HANG_UP, Wish
from tests.infrastructure.event_store.ledger import Attempt, Fate
from tests.support.processes import ROOT

PATIENCE = 60.0
"""Seconds within which a client must know in the end."""

PAUSE = 0.002
TRY_AGAIN = {"StoreUnavailable", "StoreBusy", "Gone"}


class Appending:
    """The process that appends for the clients; `start` may be called again when it was killed."""

    def __init__(self, url: str, log: Path) -> None:
        self._url, self.log = url, log
        self._process: asyncio.subprocess.Process | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    @property
    def in_flight(self) -> int:
        return len(self._answers)

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.infrastructure.event_store.appending", self._url),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        self._listening = asyncio.create_task(self._listen(self._process))

    async def ask(self, wish: Wish) -> dict[str, Any]:
        """What became of it; `Gone` when the process went away with the answer."""
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            return {"outcome": "Gone"}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[wish.number] = answer
        with suppress(ConnectionError):
            self._process.stdin.write(wish.as_line())
            await self._process.stdin.drain()
        return await answer

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            raise AssertionError("started with a pipe")
        while line := await process.stdout.readline():
            with suppress(json.JSONDecodeError):  # killed in the middle of a word
                answer = json.loads(line)
                self._answers.pop(answer["number"]).set_result(answer)
        await process.wait()
        for answer in self._answers.values():
            answer.set_result({"outcome": "Gone"})
        self._answers.clear()

    def hang_up(self) -> None:
        """Whoever waits for an answer goes away, as the service sees it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(HANG_UP)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def ended(self) -> None:
        if self._listening is not None:
            await self._listening

    async def stop(self) -> None:
        """End it in good order: its input ends."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        await self.ended()


@dataclass
class Crowd:
    """What all clients know; they work while the gate is open."""

    appending: Appending
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: int = 0
    told_by_key: dict[str, int] = field(default_factory=lambda: {"whole": 0, "absent": 0})
    surprises: list[str] = field(default_factory=list)
    busy: int = 0

    def begin(self, count: int) -> Attempt:
        attempt = Attempt(len(self.attempts), count, Fate.UNKNOWN, began=time.monotonic_ns())
        self.attempts.append(attempt)
        return attempt

    async def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert not self.surprises, self.surprises
            assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain for {what}"
            await asyncio.sleep(0.002)

    async def reach(self, acknowledged: int) -> None:
        await self.until(lambda: self.acknowledged >= acknowledged, f"{acknowledged} acknowledged appends")

    async def pause(self) -> None:
        """Everything that was begun is known."""
        self.gate.clear()
        await self.until(lambda: self.busy == 0, "all clients to know")


class Client:
    """Has one stream, and appends to it one after the other."""

    def __init__(self, crowd: Crowd, number: int, seed: int) -> None:
        self._crowd, self._stream = crowd, f"loans-{number}"
        self._chance = random.Random(seed * 1_000 + number)  # noqa: S311 (repeatable, not secret)
        self._version = 0

    async def run(self) -> None:
        while True:
            await self._crowd.gate.wait()
            self._crowd.busy += 1
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._append()
            except TimeoutError:
                self._crowd.surprises.append(f"{self._stream} does not know after {PATIENCE:g} s")
            finally:
                self._crowd.busy -= 1
            await asyncio.sleep(PAUSE)

    async def _append(self) -> None:
        """New events under the same key, until somebody says what has become of the earlier ones."""
        count, key = self._chance.randint(1, 10), os.urandom(32).hex()
        tried: list[Attempt] = []
        while True:
            tried.append(self._crowd.begin(count))
            wish = Wish(tried[-1].number, self._stream, self._version, count, key)
            answer = await self._crowd.appending.ask(wish)
            if answer["outcome"] not in TRY_AGAIN:
                break
            await asyncio.sleep(0.02)
        self._settle(tried, answer)

    def _settle(self, tried: list[Attempt], answer: dict[str, Any]) -> None:
        outcome, unknown = answer["outcome"], tried[:-1]
        if outcome not in ("Appended", "KeyAlreadyUsed"):
            self._crowd.surprises.append(f"{self._stream} at {self._version}: {outcome}")
            return
        there = answer["attempt"] if outcome == "KeyAlreadyUsed" else tried[-1].number
        for attempt in tried:
            attempt.ended = time.monotonic_ns()
            attempt.fate = Fate.ACKNOWLEDGED if attempt.number == there else Fate.ABSENT
        if outcome == "Appended":
            first = answer["position"] - tried[-1].count + 1
            tried[-1].positions = range(first, answer["position"] + 1)
        if unknown:
            self._crowd.told_by_key["whole" if outcome == "KeyAlreadyUsed" else "absent"] += 1
        self._version += tried[-1].count
        self._crowd.acknowledged += 1


@asynccontextmanager
async def crowd_of(appending: Appending, clients: int, seed: int) -> AsyncIterator[Crowd]:
    """Clients that wait for the gate to be opened."""
    crowd = Crowd(appending)
    await appending.start()
    tasks = [asyncio.create_task(Client(crowd, number, seed).run()) for number in range(clients)]
    try:
        yield crowd
    finally:
        await end(*tasks)
        await appending.stop()
