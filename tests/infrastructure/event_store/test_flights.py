"""Two batches may be under way at once; who goes away meanwhile learns from the key what became of the append."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.appender import WORTH_A_FLIGHT
from command_service.infrastructure.event_store.port import AppendConflict, Appended, KeyAlreadyUsed, StoreBusy
from tests.infrastructure.event_store.cutting_proxy import cutting_proxy
from tests.infrastructure.event_store.given import TOPIC, append, event, key, whole_log
from tests.support.cluster import Database


@asynccontextmanager
async def log_held(database: Database) -> AsyncIterator[None]:
    """Nobody appends until this ends."""
    async with await psycopg.AsyncConnection.connect(database.owner_url) as blocker:
        await blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        yield


async def test_second_batch_departs_while_the_first_is_under_way(
    store: PostgresEventStore, command_database: Database
) -> None:
    await store.append(append("loans-warm"))
    async with log_held(command_database):
        first = asyncio.create_task(store.append(append("loans-first")))
        await asyncio.sleep(0)
        others = [asyncio.create_task(store.append(append(f"loans-{n}"))) for n in range(WORTH_A_FLIGHT)]
        await asyncio.sleep(0.05)
        assert store.waiting == 0
        third = asyncio.create_task(store.append(append("loans-third")))
        await asyncio.sleep(0.05)
        assert store.waiting == 1
    positions = [appended.position for appended in await asyncio.gather(first, *others, third)]
    assert positions == list(range(2, 3 + WORTH_A_FLIGHT + 1))
    streams = [row.stream for row in await whole_log(store)]
    assert streams == ["loans-warm", "loans-first", *(f"loans-{n}" for n in range(WORTH_A_FLIGHT)), "loans-third"]


async def test_refusal_in_the_first_of_two_batches_does_not_touch_the_second(
    store: PostgresEventStore, command_database: Database
) -> None:
    await store.append(append("loans-warm"))
    async with log_held(command_database):
        stale = asyncio.create_task(store.append(append("loans-warm", 0)))
        await asyncio.sleep(0)
        others = [asyncio.create_task(store.append(append(f"loans-{n}"))) for n in range(WORTH_A_FLIGHT)]
        await asyncio.sleep(0.05)
        assert store.waiting == 0
    with pytest.raises(AppendConflict):
        await stale
    assert [appended.position for appended in await asyncio.gather(*others)] == list(range(2, 2 + WORTH_A_FLIGHT))


async def test_line_that_is_cut_with_two_batches_in_flight_loses_and_repeats_nothing(
    command_database: Database,
) -> None:
    async with (
        cutting_proxy(command_database.app_url) as proxy,
        PostgresEventStore(proxy.url, topics={TOPIC}) as store,
    ):
        await store.append(append("loans-warm"))
        async with log_held(command_database):
            wishes = [asyncio.create_task(store.append(append(f"loans-{n}"))) for n in range(3 * WORTH_A_FLIGHT)]
            await asyncio.sleep(0.05)
            proxy.cut()
        appended = await asyncio.gather(*wishes)
        rows = await whole_log(store)
        assert [row.position for row in rows] == list(range(1, 2 + 3 * WORTH_A_FLIGHT))
        assert {(row.stream, row.position) for row in rows[1:]} == {
            (f"loans-{n}", each.position) for n, each in enumerate(appended)
        }


async def test_cancelled_append_is_whole_or_absent_and_its_key_tells_which(
    store: PostgresEventStore, command_database: Database
) -> None:
    await store.append(append("loans-warm"))
    wishes = {name: append(f"loans-{name}", 0, event(), event(), key=key(name)) for name in ("flying", "waiting")}
    async with log_held(command_database):
        tasks = {}
        for name, wish in wishes.items():
            tasks[name] = asyncio.create_task(store.append(wish))
            await asyncio.sleep(0.05)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    again = {name: append(wish.stream, 0, event(), event(), key=key(name)) for name, wish in wishes.items()}
    with pytest.raises(KeyAlreadyUsed) as used:
        await store.append(again["flying"])
    assert used.value.record == wishes["flying"].idempotency
    assert isinstance(await store.append(again["waiting"]), Appended)
    rows = await whole_log(store)
    assert [(row.stream, row.version) for row in rows[1:]] == [
        ("loans-flying", 1),
        ("loans-flying", 2),
        ("loans-waiting", 1),
        ("loans-waiting", 2),
    ]


async def test_queue_is_bounded_however_many_come_at_once(command_database: Database) -> None:
    async with PostgresEventStore(command_database.app_url, topics={TOPIC}, capacity=100) as store:
        await store.append(append("loans-warm"))
        async with log_held(command_database):
            wishes = [asyncio.create_task(store.append(append(f"loans-{n}"))) for n in range(5_000)]
            await asyncio.sleep(0.1)
            refused = [wish for wish in wishes if wish.done()]
            assert {type(wish.exception()) for wish in refused} == {StoreBusy}
            assert store.waiting <= 100
        written = [wish for wish in wishes if wish not in set(refused)]
        positions = [appended.position for appended in await asyncio.gather(*written)]
        assert positions == list(range(2, 2 + len(written)))  # first come, first served
        assert len(await whole_log(store)) == 1 + len(written)
