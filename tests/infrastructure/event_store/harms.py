"""What can happen to an append: each harm does it while requests are under way, and proves that it was done."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from tests.infrastructure.event_store.appending import LOCK_TIMEOUT, STATEMENT_TIMEOUT
from tests.infrastructure.event_store.scene import Scene
from tests.support.full_disk import fill_the_disk, limit_files

Harm = Callable[[Scene], Awaitable[dict[str, Any]]]
"""Answers what proves it: the pids before and after, or how often it struck."""

BACKENDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'twinlog-command' AND query LIKE '%append\\_events%'
ORDER BY backend_start DESC LIMIT 1
"""

ADVISORY = "SELECT pg_advisory_xact_lock((29815::bigint << 32) + 'events'::regclass::oid::bigint) AS held"

TERMINATE = """
SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'twinlog-command'
"""


async def kill_appender(scene: Scene) -> dict[str, Any]:
    """kill -9 of the process that appends."""
    before = scene.appending.pid
    await scene.strike()
    scene.appending.kill()
    await scene.appending.ended()
    await scene.appending.start()
    return {"pids": [before, scene.appending.pid]}


async def kill_backend(scene: Scene) -> dict[str, Any]:
    """kill -9 of the PostgreSQL process that carries out the batches; the server takes all the others down with it."""
    (before,) = await backends(scene)
    await scene.strike()
    os.kill(before, signal.SIGKILL)
    after: list[int] = []
    while not after or before in after:
        after = await backends(scene)
    return {"pids": [before, after[0]]}


async def backends(scene: Scene) -> list[int]:
    """The processes that the appender's batches run in; none while the server recovers."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(scene.server_url, autocommit=True) as connection:
                    found = [pid for (pid,) in await (await connection.execute(BACKENDS)).fetchall()]
            except psycopg.OperationalError:
                found = []
            if found:
                return found
            await asyncio.sleep(0.05)


async def kill_server(scene: Scene) -> dict[str, Any]:
    """kill -9 of the postmaster."""
    before = scene.engine.pid
    await scene.strike()
    await asyncio.to_thread(scene.engine.kill)
    await scene.restart()
    return {"pids": [before, scene.engine.pid]}


async def stop_at_once(scene: Scene) -> dict[str, Any]:
    """What `pg_ctl stop -m immediate` does."""
    before = scene.engine.pid
    await scene.strike()
    os.kill(before, signal.SIGQUIT)
    await scene.restart()
    return {"pids": [before, scene.engine.pid]}


async def hang_up(scene: Scene) -> dict[str, Any]:
    """The clients go away in the middle of their requests and ask again at once, ten times."""
    gone = 0
    for _ in range(10):
        await scene.strike()
        gone += scene.in_flight
        scene.appending.hang_up()
        await asyncio.sleep(0.02)
    return {"struck": gone}


async def cut_the_line(scene: Scene) -> dict[str, Any]:
    """The connections break, ten times, at any moment of a batch."""
    before = scene.proxy.cuts
    for _ in range(10):
        await scene.strike()
        scene.proxy.cut()
        await asyncio.sleep(0.03)
    return {"struck": scene.proxy.cuts - before}


async def lose_answers(scene: Scene) -> dict[str, Any]:
    """The connection breaks after the commit and before the answer, ten times."""
    before = scene.proxy.cuts
    for _ in range(10):
        await scene.strike()
        scene.proxy.lose_next_answer = True
        await scene.crowd.until(lambda: not scene.proxy.lose_next_answer, "an answer to lose")
        await scene.crowd.reach(scene.crowd.acknowledged + 1)  # the next one lost is a batch's again
    return {"struck": scene.proxy.cuts - before}


async def storm(scene: Scene) -> dict[str, Any]:
    """Somebody ends the backends over and over."""
    ended = 0
    async with await psycopg.AsyncConnection.connect(scene.server_url, autocommit=True) as connection:
        for _ in range(15):
            await scene.strike()
            ended += len(await (await connection.execute(TERMINATE)).fetchall())
            await asyncio.sleep(0.02)
    return {"struck": ended}


async def fill_disk(scene: Scene) -> dict[str, Any]:
    """Not a byte more can be written, the server gives up; it is started anew with room."""
    before = scene.engine.pid
    await scene.strike()
    fill_the_disk(before)
    await scene.restart()
    return {"pids": [before, scene.engine.pid]}


async def stop_growth(scene: Scene) -> dict[str, Any]:
    """The table of events cannot grow, while the server lives and its journal still has room."""
    before = refusals(scene, "batch-retried", "append-refused")
    size = await table_size(scene)
    await scene.strike()
    limit_files(scene.engine.pid, f"{size}:")
    try:
        await heard(scene, before, "batch-retried", "append-refused")
    finally:
        limit_files(scene.engine.pid, "unlimited:")
    return {"struck": refusals(scene, "batch-retried", "append-refused") - before}


async def table_size(scene: Scene) -> int:
    async with await psycopg.AsyncConnection.connect(scene.server_url) as connection:
        cursor = await connection.execute("SELECT pg_relation_size('events') AS bytes")
        row = await cursor.fetchone()
    return row[0] if row else 0


async def hold_the_lock(scene: Scene) -> dict[str, Any]:
    """Another session holds the log for longer than a batch waits for a lock."""
    before = refusals(scene, "LockNotAvailable")
    async with await psycopg.AsyncConnection.connect(scene.server_url) as other:
        await scene.strike()
        await other.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        await heard(scene, before, "LockNotAvailable")
    return {"struck": refusals(scene, "LockNotAvailable") - before}


async def hold_two_locks(scene: Scene) -> dict[str, Any]:
    """Each wait is short enough for the lock's time-out, together they are too long for the statement's."""
    before = refusals(scene, "QueryCanceled")
    for _ in range(20):  # a batch that comes late meets the lock's time-out only
        await scene.strike()
        async with (
            await psycopg.AsyncConnection.connect(scene.server_url) as first,
            await psycopg.AsyncConnection.connect(scene.server_url) as second,
        ):
            await first.execute(ADVISORY)
            await second.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            await asyncio.sleep(LOCK_TIMEOUT * 0.75)
            await first.commit()
            await asyncio.sleep(STATEMENT_TIMEOUT - LOCK_TIMEOUT * 0.75 + 0.1)
        if refusals(scene, "QueryCanceled") > before:
            break
    return {"struck": refusals(scene, "QueryCanceled") - before}


async def heard(scene: Scene, before: int, *words: str) -> None:
    await scene.crowd.until(lambda: refusals(scene, *words) > before, f"the appender to speak of {words}")


def refusals(scene: Scene, *words: str) -> int:
    """How often the appending process has spoken of it."""
    said = scene.appending.log.read_text()
    return sum(said.count(word) for word in words)


HARMS: dict[str, Harm] = {
    "kill -9 of the appender": kill_appender,
    "clients hang up": hang_up,
    "kill -9 of a backend": kill_backend,
    "kill -9 of the server": kill_server,
    "stop -m immediate": stop_at_once,
    "connection cuts": cut_the_line,
    "answers lost after the commit": lose_answers,
    "pg_terminate_backend storm": storm,
    "disk full": fill_disk,
    "disk full for the table alone": stop_growth,
    "lock_timeout": hold_the_lock,
    "statement_timeout": hold_two_locks,
}
