"""Projectors as processes that share the work: one is killed, one is told to stop in the middle of a batch."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import psycopg

from tests.support.chain import PROJECTOR, Chain
from tests.support.cluster import Database
from tests.support.command_process import CommandProcess, command_process
from tests.support.processes import wait_until

INHERITED_WITHIN = 30.0


def partitions_of(projector: CommandProcess) -> int:
    """How many this process says it works on."""
    lines = httpx2.get(f"{projector.url}/metrics").text.splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith("twinlog_projector_partitions ")]
    return int(float(value))


def copied(database: Database) -> tuple[int, int]:
    """Events in the audit copy, and different positions among them."""
    with psycopg.connect(database.app_url) as connection:
        query = "SELECT count(*), count(DISTINCT position) FROM audit_events"
        events, positions = connection.execute(query).fetchone() or (0, 0)
        return events, positions


@contextmanager
def gates_shut(database: Database) -> Iterator[int]:
    """No batch can be written; the process id of the session that prevents it."""
    with psycopg.connect(database.app_url) as connection:
        connection.execute("SELECT position FROM checkpoints WHERE projection = 'audit_events' FOR UPDATE")
        yield connection.info.backend_pid


def in_flight(database: Database, gates: int) -> int:
    """Transactions that wait at the gates."""
    with psycopg.connect(database.app_url) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
        (count,) = connection.execute(query, (gates,)).fetchone() or (0,)
        return int(count)


async def test_partitions_of_a_killed_projector_are_inherited_and_rows_are_right(
    chain: Chain, variables: dict[str, str]
) -> None:
    database, killed = chain.query_database, chain.projector
    with command_process(variables, PROJECTOR) as heir:
        await until(lambda: [partitions_of(each) for each in (killed, heir)] == [4, 4], "they share")
        await chain.append(40)
        await chain.shows(40)
        with gates_shut(database) as gates:
            await chain.append(40)
            await until(lambda: in_flight(database, gates) == 2, "each has a batch in flight")
            killed.process.kill()
            since = time.monotonic()
        await until(lambda: partitions_of(heir) == 8, "the other holds all", INHERITED_WITHIN)
        await chain.append(40)
        await chain.shows(120)
        assert time.monotonic() - since < INHERITED_WITHIN
    assert copied(database) == (181, 181)  # 120 created, 60 archived, and the tenant's own event
    for words in ("rebuild", "diff"):
        code, compared = await chain.twinlog("projections", words, "--all")
        assert (code, compared["ok"]) == (0, True)


async def test_projector_that_is_told_to_stop_finishes_the_batch_in_hand(
    chain: Chain, variables: dict[str, str]
) -> None:
    database = chain.query_database
    await chain.append(2)
    await chain.shows(2)
    assert chain.projector.stop() == 0
    await chain.append(40)
    with command_process(variables, PROJECTOR) as stopping:
        with gates_shut(database) as gates:
            await until(lambda: in_flight(database, gates) == 1, "a batch is in flight")
            stopping.process.send_signal(signal.SIGTERM)
            await until(lambda: "Finished server" in stopping.said, "it answers no more")
            assert stopping.process.poll() is None
            assert copied(database) == (4, 4)
        assert await asyncio.to_thread(stopping.process.wait, 30) == 0
    events, positions = copied(database)
    assert 4 < events == positions
    with command_process(variables, PROJECTOR):
        await chain.shows(42)
        await until(lambda: copied(database)[0] >= 64, "the next one goes on")
    assert copied(database) == (64, 64)  # 42 created, 21 archived, and the tenant's own event


async def until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    await asyncio.to_thread(wait_until, condition, what, seconds)
