"""A new epoch: one above everything that was seen, written down in the log, and an end to the relay's refusal."""

import asyncio

import orjson
import psycopg
import pytest

from command_service.relay.epochs import STREAM, Sighting, begin_epoch, seen_in_redis
from shared_kernel.events.epochs import EpochBegun
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.partition import stream_key
from tests.relay.test_relay import published, refused
from tests.support.read_side import eventually
from tests.support.write_side import PARTITIONS, WriteSide


async def test_new_epoch_is_above_everything_seen_and_stands_in_the_log(side: WriteSide) -> None:
    head = (await side.append_many(7)).position
    await side.redis.set(MARK_KEY, Mark(3, 40, (0,) * PARTITIONS, 1).encode())
    await side.redis.hset(CHECKPOINTS_KEY, mapping={"tallies/blue/2": "5-12", "nonsense": "x", "a/b/c": "9-9"})
    seen = await seen_in_redis(side.redis, PARTITIONS)
    assert seen == [Sighting("mark in Redis", 3, 40), Sighting("checkpoints in Redis", 5, 12)]
    begun, position = await begin_epoch(side.database.owner_url, seen, "disk failure")
    assert begun == EpochBegun(epoch=6, followed=5, restored_to=head, seen_upto=12, reason="disk failure")
    assert await side.store.head() == (6, head + 1)
    (row,) = await side.store.read_stream("default", STREAM)
    assert (row.position, row.topic, orjson.loads(row.payload)["epoch"]) == (position, EpochBegun.TOPIC, 6)


async def test_streams_tell_their_newest_epoch(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(20)).position)
    assert Sighting("streams in Redis", 1, 20) in await seen_in_redis(side.redis, PARTITIONS)


async def test_epoch_after_epoch_is_begun_and_each_is_written_down(side: WriteSide) -> None:
    epochs = [(await begin_epoch(side.database.owner_url, [], "drill"))[0].epoch for _ in range(3)]
    assert epochs == [2, 3, 4]
    assert [row.version for row in await side.store.read_stream("default", STREAM)] == [1, 2, 3]


async def test_run_time_role_raises_no_epoch(side: WriteSide) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await begin_epoch(side.database.app_url, [], "mischief")
    assert await side.store.head() == (1, 0)


async def test_relay_that_refused_goes_on_by_itself_in_the_new_epoch(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(20)).position)
    side.tamper("DELETE FROM events WHERE position > 15", "UPDATE publication SET position = 15, last = '{}'")
    async with side.relay() as status:
        await refused(status, "run `twinlog epoch new`")
        begun, position = await begin_epoch(
            side.database.owner_url, await seen_in_redis(side.redis, PARTITIONS), "restored"
        )
        assert (begun.epoch, begun.restored_to, begun.seen_upto) == (2, 15, 20)
        await published(side, position, epoch=2)
        assert (await status.readiness())["log"] == ""
    ids = {message.row.position: message.epoch for message in await side.messages() if message.epoch == 2}
    assert ids == {16: 2}


async def test_nothing_that_came_after_the_succession_is_published_in_the_old_epoch(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(5)).position)
        appending = asyncio.gather(*(side.append_many(100) for _ in range(5)))
        _, succession = await begin_epoch(side.database.owner_url, [], "drill")
        head = (await side.append_many(1)).position
        await appending
        head = max(head, (await side.store.head())[1])
        await published(side, head, epoch=2)
    by_epoch = {message.row.position: message.epoch for message in await side.messages()}
    assert {epoch for position, epoch in by_epoch.items() if position >= succession} == {2}


async def test_redis_that_was_restored_to_an_older_state_is_filled_up(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(30)).position)
        older = {key: await side.redis.dump(key) or b"" for key in await side.redis.keys("*")}
        await published(side, (await side.append_many(30)).position)
        await side.redis.flushall()
        for key, value in older.items():
            await side.redis.restore(key, 0, value)
        head = (await side.append_many(5)).position
        await published(side, head)
    positions = await side.positions()
    assert positions[-5:] == list(range(61, 66))
    assert positions == sorted(set(positions))


async def test_streams_let_go_of_what_every_projection_has_handled(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(4_000)).position)
        mark = await side.mark()
        assert mark is not None
        told = {f"fast/blue/{number}": f"1-{mark.last[number]}" for number in range(PARTITIONS)}
        told |= {f"slow/blue/{number}": "1-2000" for number in range(PARTITIONS)}
        told["slow/blue/7"] = "0-2000"  # has not followed into this epoch yet
        await side.redis.hset(CHECKPOINTS_KEY, mapping=told)  # type: ignore[arg-type] # dict is invariant

        async def trimmed() -> bool:
            return all([await side.redis.xlen(stream_key(number)) < 400 for number in range(PARTITIONS - 1)])

        await eventually(trimmed, "the streams are trimmed")
    positions = set(await side.positions())
    assert {*range(2_001, 4_001)} <= positions
    assert await side.redis.xlen(stream_key(7)) > 400
