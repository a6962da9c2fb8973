"""What is not the log stops its partition loudly, and only that."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

from query_service.projector.checkpoints import Unit
from query_service.projector.shift import Tools
from shared_kernel.messaging.checkpoints import CHECKPOINTS_KEY
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.message import encode
from shared_kernel.messaging.partition import stream_key
from tests.support.read_side import ReadSide, eventually, has_no_reason, has_reason, write

TALLIES = Unit("tallies", "blue")
END_OTHER_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
    " AND pid <> pg_backend_pid() AND datname = current_database()"
)


async def test_forged_message_stops_its_partition_and_no_other(side: ReadSide) -> None:
    write(side, 30)
    victim = side.history.partition(side.history.rows[0])
    genuine = side.history.rows[0]
    side.history.rows[0] = genuine._replace(payload=b'{"tally_id": "00000000-0000-0000-0000-000000000000"}')
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


async def test_epoch_that_only_redis_speaks_of_stops_everything_loudly(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        standing = await side.positions()
        before = side.history
        side.history = deepcopy(before)
        side.history.epoch = 2
        write(side, 10)
        await side.publish(20)
        await eventually(lambda: has_reason(tools, "partitions"), "the epoch is reported")
        assert "epoch 2" in (await tools.status.readiness())["partitions"]
        assert await side.positions() == standing
        assert await side.rows("SELECT max(epoch) FROM public.checkpoints") == [(1,)]


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
        await looked_around(side)
        await looked_around(side)
        assert "The log has 4 partitions" in (await tools.status.readiness())["partitions"]


async def looked_around(side: ReadSide) -> None:
    """The projector has begun another look at its books, so the look before is over."""
    await side.redis.delete(CHECKPOINTS_KEY)
    await eventually(lambda: side.redis.exists(CHECKPOINTS_KEY), "the projector tells where it stands")


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


async def test_reason_of_a_halt_is_forgotten_though_the_sessions_broke_meanwhile(side: ReadSide) -> None:
    """The loop starts anew after trouble, and so must what it says."""
    write(side, 10)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        await side.redis.set(MARK_KEY, Mark(99, 1_000, (1_000,) * 8, 1).encode())
        await eventually(lambda: has_reason(tools, "partitions"), "the foreign mark is reported")
        await side.rows(END_OTHER_SESSIONS)
        await side.pool.check()
        await side.mark()
        await eventually(lambda: has_no_reason(tools, "partitions"), "all is well again")


async def test_genuine_event_on_another_partitions_stream_stops_that_partition_alone(side: ReadSide) -> None:
    write(side, 30)
    await side.publish()
    moved = side.history.messages()[-1]
    other = (side.history.partition(moved.row) + 1) % side.history.partitions
    forged = replace(moved, previous=side.history.last()[other])
    fields: dict[Any, Any] = dict(encode(forged))
    await side.redis.xadd(stream_key(other), fields, id=moved.entry_id)
    async with side.projector() as tools:
        await eventually(
            lambda: halted_for(tools, f"does not belong to partition {other}"), "the moved entry is reported"
        )
        assert f"Partition {other} stands still" in (await tools.status.readiness())["partitions"]
        last = side.history.last()
        await eventually(lambda: all_but(side, other, last), "all others are level")


async def all_but(side: ReadSide, partition: int, expected: list[int]) -> bool:
    """The partition itself may have gone as far as what comes before the entry."""
    found = await side.positions()
    return found[:partition] + found[partition + 1 :] == expected[:partition] + expected[partition + 1 :]


async def halted_for(tools: Tools, words: str) -> bool:
    return words in (await tools.status.readiness())["partitions"]
