"""A running relay: it publishes everything once and in order, comes back after trouble, and refuses a restored log."""

import itertools
import time
from typing import Any

import pytest
import redis

from command_service.relay import relay as relay_module
from command_service.relay.agreement import agree
from command_service.relay.log import Log, connect
from command_service.relay.publisher import Publisher
from command_service.relay.publishing import Publishing
from command_service.relay.status import Status
from shared_kernel.clock import SystemClock
from shared_kernel.events.completeness import MODULUS, term
from shared_kernel.events.leaf import leaf_of
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.operations import OPERATIONS_KEY
from shared_kernel.messaging.partition import partition_of, stream_key
from tests.support.read_side import eventually
from tests.support.write_side import PARTITIONS, WriteSide


async def published(side: WriteSide, position: int, epoch: int = 1) -> None:
    await eventually(lambda: side.published_upto(position, epoch), f"position {position} is published")


async def refused(status: Status, words: str) -> None:
    async def said() -> bool:
        return words in (await status.readiness())["log"]

    await eventually(said, f"the relay says {words!r}")


async def test_events_are_published_as_they_are_stored(side: WriteSide) -> None:
    async with side.relay() as status:
        appended = await side.append_many(50)
        await published(side, appended.position)
        assert await status.readiness() == {"database": "", "redis": "", "log": ""}
    stored = [row async for batch in side.store.read_log(0) for row in batch]
    messages = await side.messages()
    assert [message.row for message in messages] == stored
    assert all(leaf_of(message.row) == message.row.leaf_hash for message in messages)


async def test_each_message_names_its_predecessor_and_the_mark_each_last_one(side: WriteSide) -> None:
    async with side.relay():
        appended = await side.append_many(60)
        await published(side, appended.position)
    last = [0] * PARTITIONS
    for message in await side.messages():
        partition = partition_of(message.row.slot, PARTITIONS)
        assert message.previous == last[partition]
        last[partition] = message.row.position
    mark = await side.mark()
    assert mark is not None
    assert list(mark.last) == last


async def test_commit_wakes_the_relay_that_would_look_much_later(
    side: WriteSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "IDLE", 0.6)
    async with side.relay():
        await published(side, (await side.append("things-1")).position)
        delays = []
        for _ in range(20):
            position = (await side.append("things-1")).position
            committed = time.perf_counter()
            await published(side, position)
            delays.append(time.perf_counter() - committed)
    assert sorted(delays)[10] < 0.15  # looking alone would take 0.3 s on average; a notification takes milliseconds


async def test_mark_is_rewritten_while_nothing_happens(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append("things-1")).position)
        first = await side.mark()

        async def rewritten() -> bool:
            return await side.mark() != first

        await eventually(rewritten, "the mark is rewritten")
        later = await side.mark()
    assert first is not None
    assert later is not None
    assert (later.head, later.last) == (first.head, first.last)


async def test_restarted_relay_publishes_nothing_twice(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(30)).position)
    async with side.relay() as status:
        await published(side, (await side.append_many(30)).position)
        assert status.published._value.get() == 30
    assert await side.positions() == list(range(1, 61))


async def test_relay_that_forgot_how_far_it_was_adds_only_what_is_missing(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(30)).position)
    side.as_owner("DELETE FROM publication")
    await side.redis.delete(MARK_KEY)
    head = (await side.append_many(10)).position
    async with side.relay():
        await published(side, head)
    assert await side.positions() == list(range(1, 41))
    mark = await side.mark()
    assert mark is not None
    assert max(mark.last) == head


async def test_wiped_redis_gets_only_new_events_but_a_mark_that_shows_the_hole(side: WriteSide) -> None:
    async with side.relay():
        old = (await side.append_many(30)).position
        await published(side, old)
        await side.redis.flushall()
        new = (await side.append_many(10)).position
        await published(side, new)
    positions = await side.positions()
    assert positions[-10:] == list(range(old + 1, new + 1))
    known: dict[int, int] = {}
    for message in await side.messages():
        partition = partition_of(message.row.slot, PARTITIONS)
        known.setdefault(partition, message.previous)
    assert any(known.values())  # the first message after the wipe still names its true predecessor


async def test_redis_wiped_while_the_relay_was_down_gets_a_truthful_mark(side: WriteSide) -> None:
    async with side.relay():
        head = (await side.append_many(30)).position
        await published(side, head)
        before = await side.mark()
    await side.redis.flushall()
    async with side.relay():
        await published(side, head)
    after = await side.mark()
    assert before is not None
    assert after is not None
    assert after.last == before.last
    assert await side.positions() == []


async def test_long_backlog_is_cut_to_what_a_stream_may_keep(side: WriteSide) -> None:
    head = (await side.append_many(300)).position
    async with side.relay(catch_up=100):
        await published(side, head)
    assert await side.positions() == list(range(201, 301))


async def test_streams_are_trimmed_about_at_the_cap(side: WriteSide) -> None:
    async with side.relay(max_length=100):
        for _ in range(4):
            position = (await side.append_many(1_000)).position
        await published(side, position)
    for partition in range(PARTITIONS):
        assert await side.redis.xlen(stream_key(partition)) < 350


async def test_two_relays_that_both_believe_to_lead_double_nothing(side: WriteSide) -> None:
    await side.append_many(40)
    async with await connect(side.database.app_url) as connection:
        log, publisher = Log(connection), Publisher(side.redis, 1000)
        zombie, successor = [
            Publishing(log, publisher, SystemClock(), await agree(log, publisher, 1000)) for _ in range(2)
        ]
        await zombie.publish(await log.read(0, 10))
        try:
            await successor.publish(await log.read(0, 40))
        except redis.ResponseError:
            again = Publishing(log, publisher, SystemClock(), await agree(log, publisher, 1000))
            await again.publish(await log.read(again.done.position, 40))
    assert await side.positions() == list(range(1, 41))


async def test_relay_refuses_when_redis_is_ahead_of_the_log(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(20)).position)
    side.tamper("DELETE FROM events WHERE position > 15")
    before = await side.positions()
    async with side.relay() as status:
        await refused(status, "Redis holds position 20 of epoch 1, but the log ends at position 15")
        assert status.refused._value.get() == 1
    assert await side.positions() == before


async def test_relay_refuses_when_the_restored_log_went_on_differently(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(20)).position)
    side.tamper("DELETE FROM events WHERE position > 12")
    await side.append_many(20)
    async with side.relay() as status:
        await refused(status, "is a different event in Redis than in the log")
    assert (await side.positions())[-1] == 20


async def test_relay_refuses_when_redis_speaks_of_a_later_epoch(side: WriteSide) -> None:
    await side.append_many(3)
    await side.redis.set(MARK_KEY, Mark(2, 3, (0,) * PARTITIONS, 1).encode())
    async with side.relay() as status:
        await refused(status, "of epoch 2")
    assert await side.positions() == []


async def test_relay_goes_on_in_a_new_epoch_where_the_restored_log_ends(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(20)).position)
    side.tamper("DELETE FROM events WHERE position > 15", "UPDATE publication SET position = 15, last = '{}'")
    side.as_owner("UPDATE installation SET epoch = 2")
    async with side.relay():
        await published(side, (await side.append_many(5)).position, epoch=2)
    new = [message for message in await side.messages() if message.epoch == 2]
    assert [message.row.position for message in new] == list(range(16, 21))


async def test_entry_that_no_relay_wrote_is_refused(side: WriteSide) -> None:
    await side.append_many(3)
    await side.redis.xadd(stream_key(0), {"hello": "world"})
    async with side.relay() as status:
        await refused(status, "is this Redis shared?")
    assert await side.redis.xlen(stream_key(1)) == 0


async def test_changed_event_is_never_published(side: WriteSide) -> None:
    await side.append_many(5)
    side.tamper("UPDATE events SET payload = '{}' WHERE position = 4")
    async with side.relay() as status:
        await refused(status, "position 4 is not as it was written")
        assert await side.positions() == [1, 2, 3]


async def test_missing_position_is_never_stepped_over(side: WriteSide) -> None:
    await side.append_many(5)
    side.tamper("DELETE FROM events WHERE position = 3")
    async with side.relay() as status:
        await refused(status, "Position 3 is missing")
        assert await side.positions() == [1, 2]


async def test_relay_goes_on_after_redis_refused_a_command(side: WriteSide) -> None:
    async with side.relay() as status:
        await published(side, (await side.append_many(5)).position)
        before: Any = await side.redis.config_get("maxmemory")
        await side.redis.config_set("maxmemory", "1")
        position = (await side.append_many(5)).position

        async def told() -> bool:
            return "events wait in the log" in (await status.readiness())["redis"]

        await eventually(told, "the relay tells of Redis")
        await side.redis.config_set("maxmemory", before["maxmemory"])
        await published(side, position)
    assert await side.positions() == list(range(1, 11))


async def test_positions_in_a_partition_rise(side: WriteSide) -> None:
    async with side.relay():
        await published(side, (await side.append_many(100)).position)
    for partition in range(PARTITIONS):
        entries: Any = await side.redis.xrange(stream_key(partition))
        ids = [int(entry_id.split(b"-")[1]) for entry_id, _ in entries]
        assert all(earlier < later for earlier, later in itertools.pairwise(ids))


async def test_operators_requests_travel_on_a_stream_of_their_own_too(side: WriteSide) -> None:
    async with side.relay():
        await side.append("things-1", "operations-resources", "things-2")
        await eventually(lambda: side.published_upto(3), "all is published")
    entries: Any = await side.redis.xrange(OPERATIONS_KEY)
    assert [entry_id for entry_id, _ in entries] == [b"1-2"]


async def test_log_adds_up_at_every_thousandth_position(side: WriteSide) -> None:
    await side.append_many(2_100)
    async with side.relay():
        await eventually(lambda: side.published_upto(2_100), "all is published")

        async def summed() -> bool:
            return (await side.store.sums(2_100))[0] == 2_000

        await eventually(summed, "the sums are kept")
    rows = [row async for batch in side.store.read_log(0, 2_000) for row in batch]
    expected = [0] * PARTITIONS
    for row in rows:
        expected[partition_of(row.slot, PARTITIONS)] += term(row.position, row.leaf_hash)
    assert list((await side.store.sums(2_100))[1]) == [each % MODULUS for each in expected]
    assert (await side.store.sums(1_999))[0] == 1_000
    assert await side.store.sums(999) == (0, ())
