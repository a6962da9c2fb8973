"""Positions are gapless and in commit order: a reader that tails by position misses nothing, whoever writes."""

import asyncio
import random

import psycopg

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import AppendConflict
from tests.infrastructure.event_store.given import TOPIC, append, event
from tests.support.cluster import Database

WRITERS = 12
APPENDS = 40


async def tail(url: str, done: asyncio.Event) -> list[int]:
    """Read like a projector: remember the last position seen, ask for what is after it."""
    seen: list[int] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            last_round = done.is_set()
            cursor = await connection.execute(
                "SELECT position FROM events WHERE position > %s ORDER BY position", (seen[-1] if seen else 0,)
            )
            rows = await cursor.fetchall()
            seen += [position for (position,) in rows]
            if last_round and not rows:
                return seen
            await asyncio.sleep(0)


async def write(store: PostgresEventStore, writer: int, seed: int) -> int:
    """Appends of one to ten events, each tenth of them stale on purpose."""
    chance = random.Random(seed * 1_000 + writer)  # noqa: S311 (repeatable, not secret)
    written = 0
    for number in range(APPENDS):
        events = [event() for _ in range(chance.randint(1, 10))]
        stale = chance.random() < 0.1
        try:
            await store.append(append(f"loans-{writer}-{number}", 5 if stale else 0, *events))
            written += len(events)
        except AppendConflict:
            assert stale
    return written


async def test_tailing_reader_misses_nothing_while_several_stores_race(command_database: Database) -> None:
    url = command_database.app_url
    done = asyncio.Event()
    async with (
        PostgresEventStore(url, topics={TOPIC}) as first,
        PostgresEventStore(url, topics={TOPIC}) as second,
        PostgresEventStore(url, topics={TOPIC}) as third,
        asyncio.TaskGroup() as group,
    ):
        reader = group.create_task(tail(url, done))
        stores = (first, second, third)
        written = await asyncio.gather(*(write(stores[n % 3], n, seed=42) for n in range(WRITERS)))
        done.set()
    assert reader.result() == list(range(1, sum(written) + 1))


async def test_old_snapshot_does_not_disturb_the_order(store: PostgresEventStore, command_database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(command_database.app_url) as old:
        await old.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await old.execute("SELECT count(*) AS events FROM events")
        written = sum(await asyncio.gather(*(write(store, n, seed=7) for n in range(4))))
        cursor = await old.execute("SELECT count(*) AS events FROM events")
        assert await cursor.fetchone() == (0,)
    assert (await store.head())[1] == written
