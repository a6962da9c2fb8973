"""Threads over one recorder: lost connections, a database that is away, an interrupted writer."""

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import OperationalError, StoredEvent
from eventsourcing.utils import Environment
from psycopg import sql

from command_service.infrastructure.event_store import line, log
from command_service.infrastructure.event_store.factory import Factory
from command_service.infrastructure.event_store.recorder import LogApplicationRecorder
from tests.infrastructure.event_store.cutting_proxy import cutting_proxy
from tests.infrastructure.event_store.library import library_variables
from tests.infrastructure.event_store.rows import rows_of
from tests.support.cluster import Cluster, Database
from tests.support.processes import wait_until


@pytest.fixture
def recorder(command_database: Database) -> Iterator[LogApplicationRecorder]:
    with Factory(Environment(env=library_variables(command_database.app_url, CREATE_TABLE="n"))) as factory:
        opened = factory.application_recorder()
        assert isinstance(opened, LogApplicationRecorder)
        yield opened


def one() -> StoredEvent:
    return StoredEvent(uuid4(), 1, "topic", b"state")


def insert_one(recorder: LogApplicationRecorder) -> int:
    (position,) = recorder.insert_events([one()]) or []
    return position


def terminate_others(connection: psycopg.Connection) -> None:
    connection.execute(
        "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_terminated_backends_lose_nothing_and_repeat_nothing(
    recorder: LogApplicationRecorder, command_database: Database
) -> None:
    with (
        psycopg.connect(command_database.app_url, autocommit=True) as other,
        ThreadPoolExecutor(max_workers=16) as threads,
    ):
        writes = [threads.submit(insert_one, recorder) for _ in range(400)]
        for _ in range(8):
            terminate_others(other)
            time.sleep(0.05)
        positions = [write.result() for write in writes]
    assert sorted(positions) == list(range(1, 401))
    assert [row.position for row in rows_of(command_database.app_url)] == list(range(1, 401))


def test_refused_write_is_an_operational_error_after_the_patience(
    command_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PATIENCE", 0.3)
    variables = library_variables(command_database.app_url, CREATE_TABLE="n")
    with Factory(Environment(env=variables)) as factory:
        opened = factory.application_recorder()
        with psycopg.connect(command_database.owner_url, autocommit=True) as owner:
            owner.execute("ALTER FUNCTION append_events_v1 RENAME TO append_events_v0")
            with pytest.raises(OperationalError):
                opened.insert_events([one()])
            owner.execute("ALTER FUNCTION append_events_v0 RENAME TO append_events_v1")
        assert opened.insert_events([one()]) == [1]


def test_closed_recorder_writes_nothing_more_and_leaves_no_connection(command_database: Database) -> None:
    variables = library_variables(command_database.app_url, CREATE_TABLE="n")
    with Factory(Environment(env=variables)) as factory:
        opened = factory.application_recorder()
        assert opened.insert_events([one()]) == [1]
    with pytest.raises(OperationalError):
        opened.insert_events([one()])
    with psycopg.connect(command_database.owner_url) as connection:
        others = connection.execute(
            "SELECT count(*) AS sessions FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%append_batch%'"
        )
        assert others.fetchone() == (0,)


def test_closing_ends_the_trying_again(command_database: Database, cluster: Cluster) -> None:
    variables = library_variables(command_database.app_url, CREATE_TABLE="n")
    door = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(command_database.name)
    with (
        ThreadPoolExecutor(max_workers=1) as threads,
        psycopg.connect(cluster.server_url, autocommit=True) as server,
        psycopg.connect(command_database.app_url, autocommit=True) as other,
        Factory(Environment(env=variables)) as factory,
    ):
        opened = factory.application_recorder()
        assert opened.insert_events([one()]) == [1]
        server.execute(door.format(name, sql.Literal(False)))
        try:
            terminate_others(other)
            trying = threads.submit(opened.insert_events, [one()])
            time.sleep(0.3)
            factory.close()
            with pytest.raises(OperationalError):
                trying.result(timeout=30)
        finally:
            server.execute(door.format(name, sql.Literal(True)))


async def test_server_that_falls_silent_holds_nobody_for_ever(
    command_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PATIENCE", 0.5)
    monkeypatch.setattr(log, "ANSWER_TIMEOUT", 1.0)
    async with cutting_proxy(command_database.app_url) as proxy:
        with Factory(Environment(env=library_variables(proxy.url, CREATE_TABLE="n"))) as factory:
            opened = await asyncio.to_thread(factory.application_recorder)
            assert await asyncio.to_thread(opened.insert_events, [one()]) == [1]
            proxy.silent = True
            waiting = [asyncio.to_thread(opened.insert_events, [one()]) for _ in range(3)]
            heard = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
            assert [type(each) for each in heard] == [OperationalError] * 3
            proxy.silent = False
            await asyncio.to_thread(opened.insert_events, [one()])


async def test_server_that_falls_silent_before_the_first_batch_holds_nobody_for_ever(
    command_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "PATIENCE", 0.5)
    monkeypatch.setattr(line, "PREPARE_SECONDS", 1.0)
    async with cutting_proxy(command_database.app_url) as proxy:
        with Factory(Environment(env=library_variables(proxy.url, CREATE_TABLE="n"))) as factory:
            opened = await asyncio.to_thread(factory.application_recorder)
            proxy.silent_from = b"PREPARE"
            with pytest.raises(OperationalError):
                await asyncio.wait_for(asyncio.to_thread(opened.insert_events, [one()]), 30)
            proxy.silent_from, proxy.silent = b"", False
            proxy.cut()


class Interrupted(BaseException):
    pass


def test_interrupted_writer_hears_of_it_when_its_append_is_settled(
    recorder: LogApplicationRecorder, command_database: Database
) -> None:
    appender, heard, main = recorder.log._appender, threading.Event(), threading.get_ident()

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        heard.set()
        raise Interrupted

    def waiting(count: int) -> None:
        wait_until(lambda: appender._led and len(appender._waiting) == count, f"one to lead and {count} to wait")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with psycopg.connect(command_database.owner_url) as blocker, ThreadPoolExecutor(max_workers=8) as threads:
            blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            leader = threads.submit(insert_one, recorder)
            waiting(0)
            followers = [threads.submit(insert_one, recorder) for _ in range(3)]
            waiting(3)

            def interrupt_and_let_go() -> None:
                waiting(4)
                signal.pthread_kill(main, signal.SIGALRM)
                assert heard.wait(30)
                blocker.commit()

            interrupting = threads.submit(interrupt_and_let_go)
            with pytest.raises(Interrupted):
                insert_one(recorder)
            interrupting.result(timeout=30)
            followers += [threads.submit(insert_one, recorder) for _ in range(3)]
            positions = [write.result(timeout=30) for write in (leader, *followers)]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(set(positions)) == 7
    assert len(rows_of(command_database.app_url)) == 8
