"""A running projector: it follows the streams, repairs itself from the feed, shares, waits and stops."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import orjson
import psycopg
import pytest
from psycopg import AsyncConnection
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from query_service.projector import projector as projector_module
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.decoding import Prepared
from query_service.projector.engine import Applied, Engine
from query_service.projector.shift import Tools
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support.read_side import ReadSide, eventually, has_no_reason, has_reason, write
from tests.support.tallies import PROJECTION, TallyOpened, TallyRaised

TALLIES = Unit("tallies", "blue")


async def test_published_events_become_rows(side: ReadSide) -> None:
    write(side, 40)
    await side.publish()
    async with side.projector():
        await side.caught_up()
        before = len(side.history.rows)
        write(side, 40)
        await side.publish(before)
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 80}
    assert side.feed_server.asked == 0


async def test_commits_are_announced_to_readers(side: ReadSide) -> None:
    async with side.pool.connection() as listener, side.projector():
        await listener.execute("LISTEN projected")
        write(side, 1)
        await side.publish()
        async for notification in listener.notifies(timeout=10, stop_after=1):
            assert notification.channel == "projected"
            break
        else:
            raise AssertionError("nobody was told")
    assert await side.positions() == side.history.last()


async def test_entries_that_are_delivered_again_change_nothing(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector():
        await side.caught_up()
    await side.redis.flushall()
    await side.publish()
    write(side, 1)
    await side.publish(20)
    async with side.projector():
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 11}


async def test_hole_in_the_stream_is_read_from_the_feed(side: ReadSide) -> None:
    write(side, 30)
    await side.publish(after=25)
    async with side.projector():
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 30}
    assert side.feed_server.asked > 0


async def test_wiped_redis_is_noticed_by_the_mark_alone(side: ReadSide) -> None:
    write(side, 20)
    await side.publish()
    async with side.projector():
        await side.caught_up()
        write(side, 20)
        await side.redis.flushall()
        await side.mark()
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 40}


async def test_redis_wiped_again_and_again_loses_and_doubles_nothing(side: ReadSide) -> None:
    async with side.projector():
        for round_number in range(8):
            before = len(side.history.rows)
            write(side, 15)
            await side.publish(before)
            if round_number % 2:
                await side.redis.flushall()
                await side.mark()
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 120}
    assert await side.rows("SELECT count(*), max(position) FROM public.audit_events") == [(240, 240)]


async def test_two_projectors_share_the_partitions_and_inherit_from_one_that_stops(side: ReadSide) -> None:
    async with side.projector() as first:
        async with side.projector() as second:
            await eventually(lambda: shares(first, second, (4, 4)), "each has its half")
            write(side, 60)
            await side.publish()
            await side.caught_up()
            assert first.status.handled._value.get() > 0
            assert second.status.handled._value.get() > 0
        await eventually(lambda: shares(first, first, (8, 8)), "the first has everything")
        write(side, 60)
        await side.publish(120)
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 120}


async def shares(first: Tools, second: Tools, expected: tuple[int, int]) -> bool:
    return tuple(tools.status.partitions._value.get() for tools in (first, second)) == expected


async def test_poison_is_reported_and_others_flow(side: ReadSide) -> None:
    sick = uuid4()
    side.history.append(f"tallies-{sick}", TallyOpened(tally_id=sick), TallyRaised(tally_id=sick, by=-1))
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        await eventually(lambda: has_reason(tools, "parked"), "parked is reported")
        readiness = await tools.status.readiness()
    assert "1 parked, the oldest for tallies at position 2" in readiness["parked"]
    assert Counter((await side.totals()).values()) == {1: 10, 0: 1}


async def test_feed_that_is_away_delays_only_what_needs_it(side: ReadSide) -> None:
    write(side, 20)
    side.feed_server.away = True
    await side.publish(after=len(side.history.rows) - 1)
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "feed"), "the missing feed is reported")
        side.feed_server.away = False
        await side.caught_up()
        await eventually(lambda: has_no_reason(tools, "feed"), "the feed is back")


async def test_checkpoints_are_published_for_operators(side: ReadSide) -> None:
    write(side, 5)
    await side.publish()
    async with side.projector():
        await side.caught_up()

        async def published() -> bool:
            found = await side.redis.hgetall(CHECKPOINTS_KEY)
            partition, last = max(enumerate(side.history.last()), key=lambda item: item[1])
            return found.get(f"tallies/blue/{partition}".encode()) == f"1-{last}".encode()

        await eventually(published, "the checkpoint is in Redis")


async def test_new_projection_builds_itself_while_the_others_go_on(side: ReadSide) -> None:
    write(side, 50)
    await side.publish()
    await side.register()
    async with side.projector(replace(PROJECTION, name="others", folds={})):
        await side.caught_up()
    await side.rows("UPDATE public.checkpoints SET position = 0 WHERE projection = 'tallies' RETURNING 1")
    async with side.projector():
        await side.caught_up(TALLIES)
        write(side, 10)
        await side.publish(100)
        await side.caught_up(TALLIES)
        await side.caught_up(LOG)
    assert Counter((await side.totals()).values()) == {1: 60}


async def test_changed_version_of_the_folds_is_reported(side: ReadSide) -> None:
    await side.register()
    async with side.projector(replace(PROJECTION, version=2)) as tools:
        await side.mark()
        await eventually(lambda: has_reason(tools, "projections"), "the version is reported")
        assert "twinlog projections rebuild tallies" in (await tools.status.readiness())["projections"]


async def test_lost_database_sessions_are_replaced(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector():
        await side.caught_up()
        await side.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
            " AND pid <> pg_backend_pid() AND datname = current_database()"
        )
        await side.pool.check()  # the test's own questions go through the same pool
        write(side, 10)
        await side.publish(20)
        await side.caught_up()
    assert Counter((await side.totals()).values()) == {1: 20}


class Forgetful(Engine):
    """Every batch is committed, but the answer to the first few never arrives."""

    lost = 0

    async def apply(self, connection: AsyncConnection[Any], batch: Sequence[Prepared]) -> Applied:
        applied = await super().apply(connection, batch)
        if Forgetful.lost < 3:
            Forgetful.lost += 1
            raise psycopg.OperationalError("the answer was lost")
        return applied


async def test_commit_whose_answer_was_lost_has_its_effect_once(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector_module, "Engine", Forgetful)
    async with side.projector():
        for _ in range(4):
            before = len(side.history.rows)
            write(side, 5, by=2)
            await side.publish(before)
            await side.caught_up()
    assert Forgetful.lost == 3
    assert sorted((await side.totals()).values()) == [2] * 20


async def test_mark_that_nobody_can_read_does_no_harm(side: ReadSide) -> None:
    await side.register()
    write(side, 3)
    await side.publish()
    await side.redis.set(MARK_KEY, orjson.dumps(["not", "a", "mark"]))
    async with side.projector():
        await side.caught_up()


@pytest.mark.parametrize(
    "stored", [b"\xff", b'["not", "a", "mark"]', Mark(7, 40, (40, 40), 1).encode()], ids=["bytes", "json", "foreign"]
)
async def test_mark_of_no_use_does_not_decide_what_an_empty_query_database_begins_with(
    side: ReadSide, stored: bytes
) -> None:
    await side.redis.set(MARK_KEY, stored)
    async with side.projector() as tools:
        await eventually(side.positions, "the books are begun")
        await side.redis.delete(MARK_KEY)
        write(side, 3)
        await side.publish()
        await side.caught_up()
        await eventually(lambda: has_no_reason(tools, "partitions"), "nothing stands still")
    assert await side.rows("SELECT DISTINCT epoch FROM public.checkpoints") == [(1,)]
    assert len(await side.positions()) == side.history.partitions


async def test_graceful_stop_ends_within_a_moment(side: ReadSide) -> None:
    await side.register()
    async with side.projector():
        await asyncio.sleep(0.3)
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 10


async def test_redis_that_does_not_answer_is_reported_and_forgiven(side: ReadSide) -> None:
    await side.register()
    write(side, 3)
    await side.publish()
    async with Redis.from_url(side.redis_url, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as impatient:
        side.redis, patient = impatient, side.redis
        async with side.projector() as tools:
            await side.caught_up()
            await patient.client_pause(4_000)
            await eventually(lambda: has_reason(tools, "redis"), "Redis is reported")
            await eventually(lambda: has_no_reason(tools, "redis"), "Redis is back")
            write(side, 3)
            side.redis = patient
            await side.publish(6)
            await side.caught_up()
