"""Redis goes and comes back: commands go on, the relay says what waits, and catches up."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import RedisError

from command_service.relay import relay as relay_module
from command_service.relay.status import Status
from deploy.local.engines import EmbeddedValkey
from tests.relay.test_relay import published
from tests.support.cluster import Database
from tests.support.pauses import noted_pauses
from tests.support.places import open_folder
from tests.support.read_side import eventually
from tests.support.write_side import WriteSide, write_side

pytestmark = pytest.mark.integration


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    """A server of this test's own, that forgets everything when it is killed."""
    with open_folder() as folder:
        engine = EmbeddedValkey(folder / "redis", durable=False)
        engine.start()
        yield engine
        engine.stop()


async def says_how_much_waits(status: Status, positions: int) -> bool:
    told = (await status.readiness())["redis"]
    return "events wait in the log" in told and status.lag._value.get() == positions


async def is_published(side: WriteSide, position: int) -> bool:
    with suppress(RedisError):  # our own connection is of before, too
        return await side.published_upto(position)
    return False


async def is_well(status: Status) -> bool:
    return not (await status.readiness())["redis"]


async def test_relay_waits_for_redis_with_growing_pauses_says_so_and_catches_up(
    command_database: Database, valkey: EmbeddedValkey
) -> None:
    async with write_side(command_database, valkey.url()) as side, side.relay() as status:
        await published(side, (await side.append_many(10)).position)
        await asyncio.to_thread(valkey.kill)
        head = (await side.append_many(300)).position
        await eventually(lambda: says_how_much_waits(status, 300), "the relay says how many events wait")
        assert status.lag_seconds._value.get() > 0
        await asyncio.to_thread(valkey.start)
        await eventually(lambda: is_published(side, head), "everything is published")
        await eventually(lambda: is_well(status), "the relay says that all is well")
        assert await side.positions() == list(range(11, 311))


async def test_each_hiccup_of_redis_costs_no_more_than_the_first(
    command_database: Database, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = noted_pauses(monkeypatch, relay_module)
    first: list[float] = []
    async with write_side(command_database, valkey.url()) as side, side.relay():
        before: Any = await side.redis.config_get("maxmemory")
        for _ in range(3):
            await published(side, (await side.append_many(5)).position)
            await goes_on(side)
            pauses.clear()
            await side.redis.config_set("maxmemory", "1")
            await eventually(lambda: has_paused(pauses), "the relay waits for Redis")
            await side.redis.config_set("maxmemory", before["maxmemory"])
            first.append(pauses[0])
    assert first == [0.1] * 3


async def goes_on(side: WriteSide) -> None:
    """More than one mark was written since: the relay has been through a whole step."""
    seen = set()

    async def another() -> bool:
        seen.add(await side.mark())
        return len(seen) > 2

    await eventually(another, "the mark is rewritten")


async def has_paused(pauses: list[float]) -> bool:
    return bool(pauses)
