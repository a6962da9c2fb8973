"""A reader that tails by position misses nothing of ours; of the library's unsafe mode, in the same race, it does."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import InfrastructureFactory, StoredEvent

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import AppendConflict, Appended
from deploy.local.databases import COMMAND
from tests.infrastructure.event_store.given import TOPIC, append, event
from tests.infrastructure.event_store.racer import MODULE_PATH, PORT, UNSAFE, library
from tests.infrastructure.event_store.racing import OURS, THEIRS, Outcome, Race, old_snapshot, plant_slow_commits, run
from tests.support import results
from tests.support.cluster import Cluster, Database
from tests.support.processes import wait_until
from tests.support.waiting import eventually

SEED = 20_261_123
NAP: LiteralString = "pg_sleep(0.02)"
EVENTS = int(os.environ.get("RACE_EVENTS", "1000000"))
AT_A_TIME = 20_000
FAIR = 0.25
"""Of an average share: what the slowest process gets at least, threads beside event loops."""

SLOW: LiteralString = "random() < 0.001"

GATE: LiteralString = "pg_advisory_xact_lock(4242)"
WAITING = """
SELECT count(*) AS sessions FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE d.datname = current_database() AND NOT l.granted
"""


def test_control_a_reader_of_the_unsafe_mode_steps_over_a_late_commit(empty_database: str) -> None:
    with library(empty_database, create=True) as factory:
        factory.application_recorder()
    plant_slow_commits(empty_database, "stored_events", "NEW.topic = 'slow'", GATE)
    assert overtaking(empty_database, UNSAFE, THEIRS) == ([2], [1, 2])


def test_reader_of_ours_waits_for_a_late_commit(command_database: Database) -> None:
    plant_slow_commits(command_database.owner_url, "events", "NEW.topic = 'slow'", GATE)
    assert overtaking(command_database.app_url, MODULE_PATH, OURS) == ([1, 2], [1, 2])


def overtaking(url: str, kind: str, query: LiteralString) -> tuple[list[int], list[int]]:
    """The first of two appends commits late. Answers what a tailing reader met, and what is in the log at the end."""
    seen: list[int] = []
    with (
        library(url, create=False, kind=kind) as first,
        library(url, create=False, kind=kind) as second,
        psycopg.connect(url, autocommit=True) as reader,
        psycopg.connect(url) as gate,
    ):
        gate.execute("SELECT " + GATE)
        late = appending(first, "slow")
        wait_until(lambda: sessions_waiting(reader) == 1, "an append before its commit")
        early = appending(second, "quick")
        wait_until(lambda: not early.is_alive() or sessions_waiting(reader) == 2, "the second append, or its waiting")
        seen += positions(reader, query, 0)
        gate.commit()
        late.join()
        early.join()
        seen += positions(reader, query, seen[-1] if seen else 0)
        return seen, positions(reader, query, 0)


def appending(factory: InfrastructureFactory[Any], topic: str) -> threading.Thread:
    events = [StoredEvent(uuid4(), 1, topic, bytes(8))]
    thread = threading.Thread(target=factory.application_recorder().insert_events, args=(events,))
    thread.start()
    return thread


def sessions_waiting(reader: psycopg.Connection) -> int:
    row = reader.execute(WAITING).fetchone()
    return row[0] if row else 0


def positions(reader: psycopg.Connection, query: LiteralString, after: int) -> list[int]:
    return [row[0] for row in reader.execute(query, (after,))]


async def test_append_that_grows_stale_while_it_waits_is_refused_alone(command_database: Database) -> None:
    url = command_database.app_url
    plant_slow_commits(command_database.owner_url, "events", "NEW.stream = 'loans-contested' AND NEW.version = 1", GATE)
    with psycopg.connect(url, autocommit=True) as looking, psycopg.connect(url) as gate:
        gate.execute("SELECT " + GATE)
        async with PostgresEventStore(url, topics={TOPIC}) as first, PostgresEventStore(url, topics={TOPIC}) as second:
            winner = asyncio.create_task(first.append(append("loans-contested")))
            await eventually(lambda: sessions_waiting(looking) == 1, "an append before its commit")
            wishes = [append(f"loans-{number}") for number in range(5)]
            wishes.insert(2, append("loans-contested", 0, event(), event()))
            waiting = asyncio.gather(*map(second.append, wishes), return_exceptions=True)
            await eventually(lambda: sessions_waiting(looking) == 2, "the batch that waits for it")
            gate.commit()
            outcomes = await waiting
            assert (await winner).position == 1
    assert [type(outcome) for outcome in outcomes] == [Appended] * 2 + [AppendConflict] + [Appended] * 3
    assert sorted(outcome.position for outcome in outcomes if isinstance(outcome, Appended)) == [2, 3, 4, 5, 6]


def test_control_the_unsafe_mode_loses_events_in_a_race(empty_database: str, tmp_path: Path) -> None:
    with library(empty_database, create=True) as factory:
        factory.application_recorder()
    plant_slow_commits(empty_database, "stored_events", SLOW, NAP)
    outcome = run(Race(empty_database, (UNSAFE, UNSAFE), 6_000, tmp_path, SEED))
    assert outcome.verdict.lost > 0
    assert outcome.verdict.acknowledged >= 6_000


def test_ours_loses_nothing_in_the_same_race(command_database: Database, tmp_path: Path) -> None:
    plant_slow_commits(command_database.owner_url, "events", SLOW, NAP)
    with old_snapshot(command_database.app_url):
        outcome = run(Race(command_database.app_url, (PORT, PORT, MODULE_PATH), 12_000, tmp_path, SEED))
    assert_whole(outcome, 12_000)


def assert_whole(outcome: Outcome, events: int) -> None:
    assert outcome.verdict.broken == {}
    assert outcome.verdict.seen == outcome.verdict.acknowledged >= events
    assert outcome.refused > 0, "stale appends were part of the race"
    assert outcome.least_share > FAIR, "nobody goes hungry"


@pytest.mark.long
@pytest.mark.timeout(0)
def test_a_million_events_race_past_a_reader(durable_cluster: Cluster, tmp_path: Path) -> None:
    """RACE_EVENTS chooses another number; the control runs until its first loss, and at most as long."""
    control = race_of_the_control(durable_cluster, tmp_path)
    with durable_cluster.copy_of(COMMAND) as name:
        url = durable_cluster.url(name, COMMAND.users[0])
        kinds = (PORT, PORT, PORT, MODULE_PATH)
        with old_snapshot(url):
            ours = run(Race(url, kinds, EVENTS, tmp_path, SEED, writers=32, within=1_800))
    results.write(
        "race",
        {
            "seed": SEED,
            "events": EVENTS,
            "processes": list(kinds),
            "old_snapshot_open": True,
            "ours": figures(ours),
            "control": {"kind": "eventsourcing, POSTGRES_ENABLE_DB_FUNCTIONS=y", **figures(control)},
        },
    )
    assert control.verdict.lost > 0
    assert_whole(ours, EVENTS)


def race_of_the_control(cluster: Cluster, folder: Path) -> Outcome:
    """As it is, with nothing planted."""
    for seed in range(max(1, EVENTS // AT_A_TIME)):
        with cluster.empty() as name:
            url = cluster.url(name, COMMAND.owner)
            with library(url, create=True) as factory:
                factory.application_recorder()
            outcome = run(Race(url, (UNSAFE,) * 4, AT_A_TIME, folder, SEED + seed))
        if outcome.verdict.lost:
            break
    return outcome


def figures(outcome: Outcome) -> dict[str, Any]:
    verdict = outcome.verdict
    return {
        "acknowledged": verdict.acknowledged,
        "seen": verdict.seen,
        "lost": verdict.lost,
        "repeated": verdict.repeated,
        "torn": verdict.torn,
        "out_of_order": verdict.out_of_order,
        "refused_as_stale": outcome.refused,
        "least_share": outcome.least_share,
        "seconds": outcome.seconds,
    }
