"""Reading the log: streams, the whole of it, one partition, and what was installed."""

import asyncio

import psycopg

from command_service.infrastructure import schema
from command_service.infrastructure.event_store import PostgresEventStore
from shared_kernel.messaging.partition import partition_of
from tests.infrastructure.event_store.given import append, event, whole_log
from tests.support.cluster import Database


async def fill(store: PostgresEventStore, count: int) -> None:
    await asyncio.gather(*(store.append(append(f"loans-{number}")) for number in range(count)))


async def test_stream_is_read_after_a_version(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event() for _ in range(5))))
    assert [row.version for row in await store.read_stream("default", "loans-1", 3)] == [4, 5]


async def test_log_is_read_in_batches_up_to_a_limit(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event(b"{}") for _ in range(1_500))))
    await store.append(append("loans-2", 0, *(event(b"{}") for _ in range(1_000))))
    batches = [[row.position for row in rows] async for rows in store.read_log(200, 2_100)]
    assert [len(batch) for batch in batches] == [1_000, 1_000, 100]
    assert [position for batch in batches for position in batch] == list(range(201, 2_301))
    assert len(await whole_log(store)) == 2_500


async def test_pages_of_all_partitions_make_the_whole_log(store: PostgresEventStore) -> None:
    await fill(store, 60)
    seen: list[int] = []
    for partition in range(8):
        after, previous = 0, 0
        while after < 60:
            page = await store.read_partition(after, partition, 3)
            assert page.previous == previous
            assert {partition_of(row.slot, 8) for row in page.rows} <= {partition}
            seen += [row.position for row in page.rows]
            previous = page.rows[-1].position if page.rows else previous
            after = page.complete_to
    assert sorted(seen) == list(range(1, 61))


async def test_page_beyond_the_head_is_empty(store: PostgresEventStore) -> None:
    await fill(store, 3)
    page = await store.read_partition(7, 0, 10)
    assert (list(page.rows), page.complete_to) == ([], 7)


async def test_head_of_an_empty_log_is_zero_in_the_first_epoch(store: PostgresEventStore) -> None:
    assert await store.head() == (1, 0)
    await fill(store, 2)
    assert await store.head() == (1, 2)


async def test_installation_is_made_once(store: PostgresEventStore, command_database: Database) -> None:
    before = await store.installation()
    assert (before.epoch, before.partitions) == (1, 8)
    schema.upgrade(command_database.owner_url, None, partitions=32)
    assert await store.installation() == before


async def test_appending_wakes_up_who_listens(store: PostgresEventStore, command_database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(command_database.app_url, autocommit=True) as connection:
        await connection.execute("LISTEN appended")
        await store.append(append("loans-1", 0, event(), event()))
        heard = [note.payload async for note in connection.notifies(timeout=30, stop_after=1)]
    assert heard == ["2"]


async def test_stream_is_read_by_the_page_and_from_its_end(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event() for _ in range(7))))
    assert [row.version for row in await store.read_stream("default", "loans-1", 2, limit=3)] == [3, 4, 5]
    assert [row.version for row in await store.read_stream_backwards("default", "loans-1", limit=2)] == [7, 6]
    assert [row.version for row in await store.read_stream_backwards("default", "loans-1", 4)] == [3, 2, 1]
    assert await store.read_stream_backwards("another", "loans-1") == []


async def test_log_is_read_backwards(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event(b"{}") for _ in range(1_200))))
    batches = [[row.position for row in rows] async for rows in store.read_log_backwards()]
    assert [len(batch) for batch in batches] == [1_000, 200]
    assert [position for batch in batches for position in batch] == list(range(1_200, 0, -1))
    assert [row.position async for rows in store.read_log_backwards(5, limit=2) for row in rows] == [4, 3]


async def test_time_leads_to_a_position(store: PostgresEventStore) -> None:
    assert await store.last_before(2**62) == 0, "nothing was recorded yet"
    for number in range(9):
        await store.append(append(f"loans-{number}"))
    times = [row.recorded_at for row in await whole_log(store)]
    for position, at in enumerate(times, 1):
        assert await store.last_before(at) == sum(other < at for other in times)
        assert await store.last_before(at + 1) >= position
    assert (await store.last_before(times[0]), await store.last_before(times[-1] + 1)) == (0, 9)
