"""A running projector: it follows the streams, repairs itself from the feed, shares, refuses and stops."""

import asyncio
from collections import Counter
from dataclasses import replace
from uuid import uuid4

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.shift import CHECKPOINTS_KEY, Tools
from shared_kernel.messaging.mark import MARK_KEY
from shared_kernel.messaging.partition import stream_key
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from tests.support.cluster import Vault
from tests.support.read_side import KEK, ReadSide, eventually, pool_of
from tests.support.tallies import PROJECTION, REGISTRY, TallyOpened, TallyRaised, TallySigned

TALLIES = Unit("tallies", "blue")


def write(side: ReadSide, count: int, by: int = 1) -> None:
    """That many tallies, each opened and raised once."""
    for _ in range(count):
        tally = uuid4()
        side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally), TallyRaised(tally_id=tally, by=by))


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


async def has_reason(tools: Tools, check: str) -> bool:
    return bool((await tools.status.readiness())[check])


async def test_forged_message_stops_its_partition_and_no_other(side: ReadSide) -> None:
    write(side, 30)
    victim = side.history.partition(side.history.rows[0])
    genuine = side.history.rows[0]
    side.history.rows[0] = replace(genuine, payload=b'{"tally_id": "00000000-0000-0000-0000-000000000000"}')
    await side.publish()
    side.history.rows[0] = genuine
    expected = [0 if number == victim else last for number, last in enumerate(side.history.last())]
    async with side.projector() as tools:
        await eventually(lambda: stand_at(side, expected), "all others are level")
        await eventually(lambda: has_reason(tools, "partitions"), "the stop is reported")
        reason = (await tools.status.readiness())["partitions"]
        assert f"Partition {victim} stands still" in reason
        assert "position 1 was changed" in reason
        await side.redis.flushall()
        await side.mark()
        await side.caught_up()
        await eventually(lambda: has_no_reason(tools, "partitions"), "all is well again")


async def stand_at(side: ReadSide, expected: list[int]) -> bool:
    return await side.positions() == expected


async def has_no_reason(tools: Tools, check: str) -> bool:
    return not await has_reason(tools, check)


async def test_another_epoch_stops_everything_loudly(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        standing = await side.positions()
        side.history.epoch = 2
        write(side, 10)
        await side.publish(20)
        await eventually(lambda: has_reason(tools, "partitions"), "the epoch is reported")
        assert "epoch 2" in (await tools.status.readiness())["partitions"]
        assert await side.positions() == standing


async def test_log_restored_to_an_older_point_is_noticed_though_nothing_is_published(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        del side.history.rows[10:]
        await side.redis.flushall()

        async def noticed() -> bool:
            await side.mark()
            return await has_reason(tools, "partitions")

        await eventually(noticed, "the restored log is reported")
        assert "the log was restored" in (await tools.status.readiness())["partitions"]


async def test_feed_that_is_away_delays_only_what_needs_it(side: ReadSide) -> None:
    write(side, 20)
    side.feed_server.away = True
    await side.publish(after=len(side.history.rows) - 1)
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "feed"), "the missing feed is reported")
        side.feed_server.away = False
        await side.caught_up()
        await eventually(lambda: has_no_reason(tools, "feed"), "the feed is back")


async def test_personal_fields_are_opened_with_the_keys_of_the_vault(side: ReadSide, vault_database: Vault) -> None:
    tally, person = uuid4(), uuid4()
    stream = f"tallies-{tally}"
    side.history.append(stream, TallyOpened(tally_id=tally))
    codec = PayloadCodec(REGISTRY)
    async with pool_of(vault_database.writer_url, 1) as pool:
        key = await KeyVault(pool, KEK).make_key("default", str(person))
    event = TallySigned(tally_id=tally, person=person, signature="Grace H.")
    payload = codec.encode(event, tenant="default", stream=stream, version=2, key=key)
    side.history.append_bytes(stream, TallySigned.TOPIC, payload)
    await side.publish()
    async with side.projector():
        await side.caught_up()
    ((details,),) = await side.rows("SELECT details FROM blue.tallies")
    assert details["signature"] == "Grace H."
    assert b"Grace" not in b"".join(row.payload for row in side.history.rows)


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


async def test_mark_that_nobody_can_read_does_no_harm(side: ReadSide) -> None:
    await side.register()
    write(side, 3)
    await side.publish()
    await side.redis.set(MARK_KEY, orjson.dumps(["not", "a", "mark"]))
    async with side.projector():
        await side.caught_up()


async def test_graceful_stop_ends_within_a_moment(side: ReadSide) -> None:
    await side.register()
    async with side.projector():
        await asyncio.sleep(0.3)
        started = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - started < 2


async def test_redis_that_does_not_answer_is_reported_and_forgiven(side: ReadSide) -> None:
    await side.register()
    write(side, 3)
    await side.publish()
    async with Redis.from_url(side.redis_url, socket_timeout=0.4, retry=Retry(NoBackoff(), 0)) as impatient:
        side.redis, patient = impatient, side.redis
        async with side.projector() as tools:
            await side.caught_up()
            await patient.client_pause(1_500)
            await eventually(lambda: has_reason(tools, "redis"), "Redis is reported")
            await eventually(lambda: has_no_reason(tools, "redis"), "Redis is back")
            write(side, 3)
            side.redis = patient
            await side.publish(6)
            await side.caught_up()


async def test_vault_that_is_away_delays_and_parks_nothing(side: ReadSide, vault_database: Vault) -> None:
    tally, person = uuid4(), uuid4()
    stream = f"tallies-{tally}"
    side.history.append(stream, TallyOpened(tally_id=tally))
    codec = PayloadCodec(REGISTRY)
    async with pool_of(vault_database.writer_url, 1) as pool:
        key = await KeyVault(pool, KEK).make_key("default", str(person))
    event = TallySigned(tally_id=tally, person=person, signature="Grace H.")
    side.history.append_bytes(
        stream, TallySigned.TOPIC, codec.encode(event, tenant="default", stream=stream, version=2, key=key)
    )
    await side.publish()
    genuine, side.vault = side.vault, KeyVault(side.vault._pool, Kek(1, {1: bytes(range(1, 33))}))
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "vault"), "the vault is reported")
        assert await side.positions(TALLIES) == [0] * 8
    side.vault = genuine
    async with side.projector():
        await side.caught_up()
    assert await side.rows("SELECT details ->> 'signature' FROM blue.tallies") == [("Grace H.",)]


async def test_foreign_entry_stops_its_partition_and_says_what_it_is(side: ReadSide) -> None:
    await side.register()
    await side.redis.xadd(stream_key(3), {"hello": "world"}, id="1-7")
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the entry is reported")
        reason = (await tools.status.readiness())["partitions"]
    assert reason == "Partition 3 stands still: The entry 1-7 is not one that a relay has written."


async def test_log_with_fewer_partitions_is_another_log(side: ReadSide) -> None:
    await side.register()
    side.history.partitions = 4
    await side.mark()
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the other log is reported")
        assert "The log has 4 partitions" in (await tools.status.readiness())["partitions"]


async def test_stream_of_another_log_is_refused(side: ReadSide) -> None:
    write(side, 20)
    await side.publish()
    async with side.projector():
        await side.caught_up()
    await side.redis.flushall()
    side.history.rows = []
    write(side, 40)
    await side.publish(after=30)
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the other log is reported")
        assert "this is another log" in (await tools.status.readiness())["partitions"]


async def test_event_that_redis_has_but_the_log_does_not_is_refused(side: ReadSide) -> None:
    write(side, 20)
    await side.publish(after=38)
    last = side.history.last()
    del side.history.rows[20:]
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the missing event is reported")
        assert "Redis has one" in (await tools.status.readiness())["partitions"]
    assert await side.positions() != last
