"""The feed's lines as the database writes them: the same bytes as the kernel's, whoever reads and however slowly."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore, connections
from command_service.infrastructure.event_store.feeding import LANES, PIECE
from command_service.infrastructure.event_store.port import StoreUnavailable
from shared_kernel.messaging.feed import decode, encode
from tests.infrastructure.event_store.given import TOPIC, append, event, whole_log
from tests.support.cluster import Database

AWKWARD = ("loans-ü€𝄞", 'loans-"quoted"', "loans-back\\slash/", "loans-\n\t\x01\x02\x1f\x7f", "loans-\\.", "loans-%s,")


async def drained(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_lines_are_those_of_the_kernel_byte_by_byte(store: PostgresEventStore) -> None:
    for stream in AWKWARD:
        await store.append(append(stream, 0, event(bytes(range(256)) * 3), event(b"")))
    rows = await whole_log(store)
    facts, pieces = await store.feed(0, 100)
    found = await drained(pieces)
    assert found == b"".join(encode(row) for row in rows)
    assert [decode(line) for line in found.splitlines()] == rows
    assert (facts.epoch, facts.head, facts.partitions) == (1, 2 * len(AWKWARD), 8)


async def test_lines_come_in_pieces_however_many_there_are(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event(bytes(1_000)) for _ in range(300))))
    _, pieces = await store.feed(0, 1_000)
    sizes = [len(piece) async for piece in pieces]
    assert len(sizes) > 3
    assert all(PIECE <= size < 3 * PIECE for size in sizes[:-1])


async def test_nothing_is_no_line(store: PostgresEventStore) -> None:
    _, pieces = await store.feed(0, 10)
    assert await drained(pieces) == b""


async def test_readers_who_leave_take_no_connection_with_them(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event(bytes(100_000)) for _ in range(50))))
    for _ in range(3 * LANES):
        _, pieces = await store.feed(0, 50)
        assert await anext(pieces)
        await pieces.aclose()
    _, pieces = await store.feed(0, 50)
    assert len((await drained(pieces)).splitlines()) == 50


async def test_slow_readers_leave_connections_to_commands(store: PostgresEventStore) -> None:
    await store.append(append("loans-1", 0, *(event(bytes(100_000)) for _ in range(50))))
    slow = [(await store.feed(0, 50))[1] for _ in range(LANES)]
    one_more = asyncio.create_task(store.feed(0, 50))
    reads = await asyncio.gather(*(store.read_stream("default", "loans-1", limit=3) for _ in range(8)))
    assert [len(rows) for rows in reads] == [3] * 8
    assert not one_more.done(), "one more than there are lanes has to wait"
    assert len((await drained(slow[0])).splitlines()) == 50
    assert len((await drained((await one_more)[1])).splitlines()) == 50
    for pieces in slow[1:]:
        await drained(pieces)


async def test_page_takes_as_long_as_its_reader(command_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STATEMENT_TIMEOUT", "200ms")
    async with PostgresEventStore(command_database.app_url, topics={TOPIC}) as store:
        for number in range(8):  # far more than sockets hold
            await store.append(append(f"loans-{number}", 0, event(bytes(1_000_000)), event(bytes(1_000_000))))
        _, pieces = await store.feed(0, 16)
        first = await anext(pieces)
        await asyncio.sleep(0.6)  # the reader is busy for three times as long as another statement may take
        assert len((first + await drained(pieces)).splitlines()) == 16


async def kill_readers(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.app_url, autocommit=True) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


async def test_cut_connections_of_the_pool_do_no_harm(store: PostgresEventStore, command_database: Database) -> None:
    await store.append(append("loans-1"))
    for pieces in [(await store.feed(0, 10))[1] for _ in range(LANES)]:
        await drained(pieces)
    await kill_readers(command_database)
    assert len((await drained(await store._lines.of_all(0, 10))).splitlines()) == 1


async def test_lines_of_a_category_are_those_of_its_streams(store: PostgresEventStore) -> None:
    for stream in ("loans-1", "loan-2", "loans-3", "xloans-4"):
        await store.append(append(stream))
    _, pieces = await store.feed(0, 10, category="loans")
    assert [decode(line).stream for line in (await drained(pieces)).splitlines()] == ["loans-1", "loans-3"]


async def test_feed_of_a_closed_store_is_unavailable(command_database: Database) -> None:
    store = PostgresEventStore(command_database.app_url, topics={TOPIC}, patience=0.2)
    async with store:
        pass
    with pytest.raises(StoreUnavailable):
        await store.feed(0, 10)
    with pytest.raises(StoreUnavailable):
        await store._lines.of_all(0, 10)
