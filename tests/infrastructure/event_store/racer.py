"""A process that appends as fast as it can and writes down what it was told; `racing.py` starts several of them.

python -m tests.infrastructure.event_store.racer <an Entry as JSON>
"""

import asyncio
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import uvloop
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, IntegrityError, StoredEvent

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import AppendConflict
from tests.infrastructure.event_store.given import TOPIC, append, event
from tests.infrastructure.event_store.ledger import Attempt, Fate, payloads
from tests.infrastructure.event_store.library import MODULE, library_variables

PORT, MODULE_PATH, UNSAFE = "port", "module", "unsafe"
STALE, CONTESTED = 0.05, 0.10
"""Shares of the appends: stale on purpose, and on one of a few streams that all processes write to."""

SHARED_STREAMS = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """What one process does: `writers` tasks or threads append until `events` are acknowledged."""

    kind: str
    url: str
    process: int
    events: int
    writers: int
    seed: int
    history: str

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def library(url: str, *, create: bool, writers: int = 1, kind: str = UNSAFE) -> InfrastructureFactory[Any]:
    """The library over our module, or over its own recorder in the mode that takes no lock."""
    module = MODULE if kind == MODULE_PATH else "eventsourcing.postgres"
    more = {"POSTGRES_ENABLE_DB_FUNCTIONS": "y"} if kind == UNSAFE else {}
    variables = library_variables(
        url,
        **more,
        PERSISTENCE_MODULE=module,
        CREATE_TABLE="y" if create else "n",
        POSTGRES_POOL_SIZE=str(writers + 1),
    )
    return InfrastructureFactory[Any].construct(variables)


@dataclass
class Diary:
    """All attempts of one process."""

    entry: Entry
    attempts: list[Attempt] = field(default_factory=list)
    acknowledged: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> bool:
        return self.acknowledged >= self.entry.events

    def begin(self, count: int) -> Attempt:
        with self._guard:
            number = (self.entry.process << 32) + len(self.attempts)
            attempt = Attempt(number, count, Fate.UNKNOWN, began=time.monotonic_ns())
            self.attempts.append(attempt)
            return attempt

    def acknowledge(self, attempt: Attempt, positions: list[int]) -> None:
        attempt.ended = time.monotonic_ns()
        attempt.fate, attempt.positions = Fate.ACKNOWLEDGED, positions
        with self._guard:
            self.acknowledged += attempt.count

    def keep(self) -> None:
        rows = [[a.number, a.count, a.fate.value, a.began, a.ended, list(a.positions)] for a in self.attempts]
        Path(self.entry.history).write_text(json.dumps(rows), encoding="utf-8")


def read_history(path: Path) -> list[Attempt]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Attempt(row[0], row[1], Fate(row[2]), row[3], row[4], row[5]) for row in rows]


class PortRacer:
    """Appends through the append port: group commit on one event loop."""

    def __init__(self, store: PostgresEventStore, diary: Diary) -> None:
        self._store, self._diary = store, diary
        self._chance = random.Random(diary.entry.seed)  # noqa: S311 (repeatable, not secret)
        self._versions = [0] * SHARED_STREAMS

    async def write(self) -> None:
        while not self._diary.done:
            luck = self._chance.random()
            if luck < STALE:
                await self._append(f"race-{uuid4()}", 5)
            elif luck < STALE + CONTESTED:
                await self._contest(self._chance.randrange(SHARED_STREAMS))
            else:
                await self._append(f"race-{uuid4()}", 0)

    async def _contest(self, number: int) -> None:
        stream = f"race-shared-{number}"
        version = await self._append(stream, self._versions[number])
        if version is None:
            rows = await self._store.read_stream("default", stream, self._versions[number])
            version = rows[-1].version if rows else 0
        self._versions[number] = max(version, self._versions[number])

    async def _append(self, stream: str, expected: int) -> int | None:
        attempt = self._diary.begin(self._chance.randint(1, 10))
        events = [event(payload) for payload in payloads(attempt.number, attempt.count)]
        try:
            appended = await self._store.append(append(stream, expected, *events))
        except AppendConflict:
            attempt.fate = Fate.ABSENT
            return None
        self._diary.acknowledge(attempt, list(range(appended.position - attempt.count + 1, appended.position + 1)))
        return appended.version


async def race_port(diary: Diary) -> None:
    async with PostgresEventStore(diary.entry.url, topics={TOPIC}) as store:
        racer = PortRacer(store, diary)
        await asyncio.gather(*(racer.write() for _ in range(diary.entry.writers)))


def race_recorder(diary: Diary) -> None:
    """The same load through a recorder of the library, from threads."""
    entry = diary.entry
    with library(entry.url, create=False, writers=entry.writers, kind=entry.kind) as factory:
        recorder = factory.application_recorder()
        with ThreadPoolExecutor(entry.writers) as threads:
            for done in [threads.submit(_record, recorder, diary, number) for number in range(entry.writers)]:
                done.result()


def _record(recorder: ApplicationRecorder, diary: Diary, number: int) -> None:
    chance = random.Random(diary.entry.seed + number)  # noqa: S311 (as above)
    used = uuid4()
    while not diary.done:
        attempt = diary.begin(chance.randint(1, 10))
        stream: UUID = used if chance.random() < STALE and attempt.number else uuid4()
        events = [
            StoredEvent(stream, version, TOPIC, payload)
            for version, payload in enumerate(payloads(attempt.number, attempt.count), 1)
        ]
        try:
            positions = recorder.insert_events(events)
        except IntegrityError:
            attempt.fate = Fate.ABSENT
        else:
            used = stream
            diary.acknowledge(attempt, list(positions or ()))


RUN: dict[str, Callable[[Diary], None]] = {
    PORT: lambda diary: uvloop.run(race_port(diary)),
    MODULE_PATH: race_recorder,
    UNSAFE: race_recorder,
}


def main() -> None:
    diary = Diary(Entry(**json.loads(sys.argv[1])))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()  # until all others are ready too
    RUN[diary.entry.kind](diary)
    diary.keep()


if __name__ == "__main__":
    main()
