"""Readers wait for what they wrote, until a deadline, and hear why when it does not come."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import DictRow

from query_service.infrastructure.database import Database, Query
from query_service.infrastructure.freshness import PAUSE, Freshness
from shared_kernel.errors import ReadModelBehind, ServiceUnavailable
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.messaging.consistency import ConsistencyToken
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support.query_side import EPOCH, TENANT, Person, QuerySide

ADA = Person(uuid4())
ADMIN = Person(uuid4(), roles=("admin",))

LISTENING = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE query LIKE 'LISTEN%' AND datname = current_database() AND pid <> pg_backend_pid()
"""


async def eventually(holds: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - what we wait for is not ours to announce
            await asyncio.sleep(0.01)


async def ask(
    query_side: QuerySide, path: str, token: str, wait: int | None = None, person: Person = ADMIN
) -> httpx2.Response:
    prefer = {} if wait is None else {"Prefer": f"wait={wait}"}
    return await query_side.get(path, person, {"Consistency-Token": token, **prefer})


async def test_a_row_is_shown_as_soon_as_its_own_partition_has_it(query_side: QuerySide) -> None:
    resource = await query_side.create(ADA)
    await query_side.publish_mark()
    await query_side.services.freshness.refresh()
    question = asyncio.create_task(
        ask(query_side, f"/v1/resources/{resource}", query_side.consistency_token(1), wait=20)
    )
    await eventually(lambda: query_side.services.freshness._waiters)
    assert not question.done()
    await query_side.project(query_side.log.rows[0].slot % 4)
    answer = await question
    assert (answer.status_code, answer.json()["id"]) == (200, str(resource))
    assert answer.headers["Preference-Applied"] == "wait=20"


async def test_a_list_is_shown_once_every_partition_is_known_to_be_complete(query_side: QuerySide) -> None:
    resources = [str(await query_side.create(ADA)) for _ in range(9)]
    token = query_side.consistency_token(9)
    question = asyncio.create_task(ask(query_side, "/v1/resources", token, wait=20))
    await query_side.project()
    await asyncio.sleep(0.05)
    assert not question.done(), "without the relay's mark nobody knows whether something is missing"
    await query_side.publish_mark()
    answer = await question
    assert [item["id"] for item in answer.json()["items"]] == resources


async def test_who_cannot_be_served_in_time_hears_how_far_behind_the_read_model_is(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    for _ in range(3):
        await query_side.create(ADA)
    await query_side.publish_mark()
    token = query_side.consistency_token(4)
    for path in ("/v1/resources", "/v1/events", "/v1/events/4", "/v1/me", "/v1/users", "/v1/projections"):
        answer = await ask(query_side, path, token, wait=0)
        assert (answer.status_code, answer.json()["code"]) == (503, "read-model-behind"), path
        assert answer.headers["Retry-After"] == "1"
        assert "you asked for 4" in answer.json()["detail"]
    started = time.monotonic()
    assert (await ask(query_side, "/v1/resources", token)).status_code == 503
    assert time.monotonic() - started >= 1, "one second is the default"


async def test_the_wait_is_bounded_and_said_only_where_there_was_something_to_wait_for(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    token = query_side.consistency_token(1)
    assert (await ask(query_side, "/v1/resources", token, wait=60)).headers["Preference-Applied"] == "wait=30"
    assert "Preference-Applied" not in (await ask(query_side, "/v1/resources", token)).headers
    without = await query_side.get("/v1/resources", ADMIN, {"Prefer": "wait=5"})
    assert (without.status_code, without.headers.get("Preference-Applied")) == (200, None)


async def test_tokens_that_nobody_issued_are_refused(query_side: QuerySide) -> None:
    forged = ConsistencyToken(EPOCH, 1, TENANT, "resources-1").seal(b"another key of 32 bytes ........")
    for token in (forged, forged[:-1], "AAAA", "x"):
        answer = await ask(query_side, "/v1/resources", token)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-consistency-token")
    assert (await ask(query_side, "/v1/resources", "no token!")).json()["code"] == "malformed-header"


async def test_a_restored_log_ends_the_promises_made_before(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    old = query_side.consistency_token(1)
    later = query_side.consistency_token(1, epoch=EPOCH + 1)
    assert (await ask(query_side, "/v1/resources", later, wait=0)).json()["code"] == "read-model-behind"
    beyond = ConsistencyToken(EPOCH, 99, TENANT, "resources-1").seal(query_side.token_key)
    waiting = asyncio.create_task(ask(query_side, "/v1/resources", beyond, wait=20))
    await eventually(lambda: query_side.services.freshness._waiters)
    await query_side.publish_mark(epoch=EPOCH + 1)
    assert ((await waiting).status_code, (await waiting).json()["code"]) == (409, "log-epoch-changed")
    assert (await ask(query_side, "/v1/resources", old)).json()["code"] == "log-epoch-changed"
    assert (await ask(query_side, "/v1/resources", later, wait=0)).json()["code"] == "read-model-behind"
    await query_side.sql("UPDATE public.checkpoints SET epoch = %s", EPOCH + 1)
    assert (await ask(query_side, "/v1/resources", later)).status_code == 200


async def test_a_parked_stream_is_named_and_all_others_flow(query_side: QuerySide) -> None:
    parked, fine = await query_side.create(ADA), await query_side.create(ADA)
    query_side.log.keep(TENANT, f"resources-{parked}", "resources.ResourcePainted.v1", b"{}", b"{}")
    await query_side.log.append(f"resources-{parked}", ResourceArchived(resource_id=parked))
    await query_side.catch_up()
    for position in (3, 4):
        for path in (f"/v1/resources/{parked}", "/v1/resources"):
            answer = await ask(query_side, path, query_side.consistency_token(position))
            assert (answer.status_code, answer.json()["code"]) == (503, "read-model-parked")
    assert (await ask(query_side, f"/v1/resources/{parked}", query_side.consistency_token(1))).status_code == 200
    assert (await ask(query_side, f"/v1/resources/{fine}", query_side.consistency_token(2))).status_code == 200
    assert (await ask(query_side, "/v1/resources", query_side.consistency_token(2))).status_code == 200


async def test_without_redis_lists_stay_as_complete_as_they_were_known_to_be(query_side: QuerySide) -> None:
    for _ in range(5):
        await query_side.create(ADA)
    await query_side.catch_up()
    await query_side.redis.flushall()
    await query_side.create(ADA)
    await query_side.project()
    freshness = query_side.services.freshness
    await freshness.refresh()
    assert freshness.progress.horizon("resources") >= 5
    for useless in (b"not a mark", Mark(EPOCH, 1, (0, 0, 1, 0), 0).encode(), Mark(0, 9, (9,), 0).encode()):
        await query_side.redis.set(MARK_KEY, useless)
        await freshness.refresh()
        assert freshness.progress.horizon("resources") >= 5
    assert len((await query_side.get("/v1/resources", ADMIN)).json()["items"]) >= 5


class CountingDatabase(Database):
    """The real thing, and how often it was asked."""

    asked = 0

    async def rows(self, query: Query, params: Mapping[str, Any] | None = None) -> Sequence[DictRow]:
        self.asked += 1
        return await super().rows(query, params)


@asynccontextmanager
async def another_process(query_side: QuerySide) -> AsyncIterator[tuple[Freshness, CountingDatabase]]:
    """What a second query process would know, from the stores alone."""
    database = CountingDatabase(query_side.reader_url)
    await database.open()
    freshness = Freshness(database, query_side.redis, query_side.token_key)
    await freshness.start()
    try:
        yield freshness, database
    finally:
        await freshness.stop()
        await database.close()


async def test_a_process_that_starts_without_redis_knows_the_mark_that_was_seen_last(query_side: QuerySide) -> None:
    for _ in range(5):
        await query_side.create(ADA)
    await query_side.catch_up()
    await query_side.redis.flushall()
    async with another_process(query_side) as (freshness, _):
        assert freshness.progress.horizon("resources") == 5


async def test_a_thousand_waiters_share_their_questions(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    token = query_side.consistency_token(1)
    async with another_process(query_side) as (freshness, database):
        asked, begun = database.asked, time.monotonic()
        waiting = [asyncio.create_task(freshness.reach(token, 60, "resources", whole=True)) for _ in range(1000)]
        await asyncio.sleep(0.3)
        assert database.asked - asked <= 2 + (time.monotonic() - begun) / PAUSE
        await query_side.project()
        await query_side.publish_mark()
        reached = await asyncio.gather(*waiting)
    assert {progress.horizon("resources") for progress in reached} == {1}
    assert not freshness._waiters


async def test_who_gives_up_waiting_leaves_nothing_behind(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    token = query_side.consistency_token(1)
    async with another_process(query_side) as (freshness, _):
        with pytest.raises(ReadModelBehind):
            await freshness.reach(token, 0.05, "resources", whole=True)
        assert not freshness._waiters


async def test_a_process_that_stops_sends_its_waiters_away(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    token = query_side.consistency_token(1)
    async with another_process(query_side) as (freshness, _):
        waiting = asyncio.create_task(freshness.reach(token, 20, "resources", whole=True))
        await eventually(lambda: freshness._waiters)
    with pytest.raises(ServiceUnavailable):
        await waiting


async def test_a_broken_connection_is_made_anew_and_questions_go_on(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.publish_mark()
    async with await psycopg.AsyncConnection.connect(query_side.reader_url, autocommit=True) as connection:
        assert await (await connection.execute(LISTENING)).fetchall() == [(True,)]
        assert await (await connection.execute(LISTENING)).fetchall() == []
        question = asyncio.create_task(ask(query_side, "/v1/resources", query_side.consistency_token(1), wait=20))
        await query_side.project()
        assert (await question).status_code == 200
        async with asyncio.timeout(20):
            while not (await (await connection.execute(LISTENING)).fetchall()):  # noqa: ASYNC110 - PostgreSQL's news
                await asyncio.sleep(0.05)


async def test_while_the_database_is_away_questions_fail_politely_and_come_back_by_themselves(
    query_side: QuerySide,
) -> None:
    resource = await query_side.create(ADA)
    await query_side.catch_up()
    async with (
        await psycopg.AsyncConnection.connect(query_side.database_owner_url, autocommit=True) as owner,
        await psycopg.AsyncConnection.connect(query_side.reader_url, autocommit=True) as mine,
    ):
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
        await owner.execute(limit.format(sql.Identifier(owner.info.dbname), 0))
        await mine.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )
        answer = await query_side.get(f"/v1/resources/{resource}", ADMIN)
        assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
        assert (await query_side.get("/readyz")).status_code == 503
        await owner.execute(limit.format(sql.Identifier(owner.info.dbname), -1))
    async with asyncio.timeout(30):
        while (await query_side.get("/readyz")).status_code != 200:  # noqa: ASYNC110 - as an operator would
            await asyncio.sleep(0.1)
    assert (await query_side.get(f"/v1/resources/{resource}", ADMIN)).status_code == 200


class BreakingDatabase(CountingDatabase):
    """Answers what nobody expects, once it is told to."""

    broken = False

    async def rows(self, query: Query, params: Mapping[str, Any] | None = None) -> Sequence[DictRow]:
        return [{}] if self.broken else await super().rows(query, params)


async def test_a_process_whose_picture_is_no_longer_kept_says_that_it_is_not_ready(query_side: QuerySide) -> None:
    database = BreakingDatabase(query_side.reader_url)
    await database.open()
    freshness = Freshness(database, query_side.redis, query_side.token_key)
    await freshness.start()
    assert freshness.trouble == ""
    database.broken = True
    await eventually(lambda: freshness.trouble)
    assert "no longer read" in freshness.trouble
    await freshness.stop()
    await database.close()
