"""A race: several processes append to one log while a stranger tails it by position."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql

from tests.infrastructure.event_store.ledger import Attempt, Fate, Verdict, examine, mark_of
from tests.infrastructure.event_store.racer import UNSAFE, Entry, read_history
from tests.support.processes import ROOT

OURS = "SELECT position, payload FROM events WHERE position > %s ORDER BY position LIMIT 10000"
THEIRS = """
SELECT notification_id, state FROM stored_events WHERE notification_id > %s ORDER BY notification_id LIMIT 10000
"""

SLOW_COMMIT = """
CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} THEN PERFORM {wait}; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow_commit()
"""


@dataclass(frozen=True, slots=True)
class Race:
    """Who takes part (a kind for each process), how much they write, and where they leave their histories."""

    url: str
    kinds: Sequence[str]
    events: int
    folder: Path
    seed: int
    writers: int = 8
    within: float = 90.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a race."""

    verdict: Verdict
    refused: int
    seconds: float
    least_share: float
    """Of the slowest process, while all were at it: 1 is as much as everybody's on average."""


def run(race: Race) -> Outcome:
    """Start everybody, read until the last has finished and nothing more comes, and judge."""
    began = time.monotonic()
    share = -(-race.events // len(race.kinds))
    entries = [
        Entry(kind, race.url, number, share, race.writers, race.seed + 1_000 * number, str(race.folder / f"{number}"))
        for number, kind in enumerate(race.kinds)
    ]
    processes = [_start(entry) for entry in entries]
    try:
        _begin_together(processes)
        seen = _tail(race, processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * len(processes)
    attempts = [attempt for entry in entries for attempt in read_history(Path(entry.history))]
    seconds = round(time.monotonic() - began, 1)
    return Outcome(examine(attempts, seen), _refused(attempts), seconds, least_share(attempts))


def _start(entry: Entry) -> "subprocess.Popen[bytes]":
    module = "tests.infrastructure.event_store.racer"
    command = [sys.executable, "-m", module, entry.as_json()]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _begin_together(processes: "Sequence[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        assert process.stdout is not None
        with process.stdout as said:
            assert said.readline() == b"ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()


def least_share(attempts: Sequence[Attempt]) -> float:
    """The fewest appends that a process had acknowledged while all were at it, against the average of all."""
    ended: dict[int, list[int]] = {}
    for attempt in attempts:
        if attempt.fate is Fate.ACKNOWLEDGED:
            ended.setdefault(attempt.number >> 32, []).append(attempt.ended)
    first, last = max(map(min, ended.values())), min(map(max, ended.values()))
    counts = [sum(first <= each <= last for each in mine) for mine in ended.values()]
    return round(min(counts) * len(counts) / sum(counts), 2) if any(counts) else 0.0


def _tail(race: Race, processes: "Sequence[subprocess.Popen[bytes]]") -> list[tuple[int, int]]:
    """Read as a projector does: remember the last position, ask for what is after it."""
    query = THEIRS if UNSAFE in race.kinds else OURS
    seen: list[tuple[int, int]] = []
    deadline = time.monotonic() + race.within
    with psycopg.connect(race.url, autocommit=True) as connection, connection.cursor(binary=True) as cursor:
        last = 0
        while True:
            over = all(process.poll() is not None for process in processes)
            rows = cursor.execute(query, (last,), prepare=True).fetchall()
            seen += [(position, mark_of(payload)) for position, payload in rows]
            last = rows[-1][0] if rows else last
            if over and not rows:
                return seen
            assert time.monotonic() < deadline, f"the race was not over in {race.within:g} s"


def _refused(attempts: Sequence[Attempt]) -> int:
    return sum(attempt.fate is Fate.ABSENT for attempt in attempts)


def plant_slow_commits(owner_url: str, table: str, condition: LiteralString, wait: LiteralString) -> None:
    """Let transactions that insert such rows wait between their INSERT and their COMMIT."""
    statement = sql.SQL(SLOW_COMMIT).format(
        condition=sql.SQL(condition), wait=sql.SQL(wait), table=sql.Identifier(table)
    )
    with psycopg.connect(owner_url) as owner:
        owner.execute(statement)


@contextmanager
def old_snapshot(url: str) -> Iterator[None]:
    """Another session looks at the log once, and keeps what it saw in view."""
    with psycopg.connect(url) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute("SELECT count(*) AS events FROM pg_catalog.pg_class")
        yield
