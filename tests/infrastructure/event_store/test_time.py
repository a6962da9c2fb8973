"""`recorded_at` never falls with position, whatever the clock does."""

import asyncio

import psycopg

from command_service.infrastructure.event_store import PostgresEventStore
from tests.infrastructure.event_store.given import append, whole_log
from tests.support.cluster import Database

HOUR = 3_600_000_000


async def test_clock_that_jumps_back_holds_time_still(store: PostgresEventStore, command_database: Database) -> None:
    await store.append(append("loans-1"))
    assert store.clock_behind == 0
    with psycopg.connect(command_database.owner_url) as owner:  # as if the clock had been an hour ahead
        owner.execute("ALTER TABLE events DISABLE TRIGGER events_append_only")
        owner.execute("UPDATE events SET recorded_at = recorded_at + %s", (HOUR,))
        owner.execute("ALTER TABLE events ENABLE TRIGGER events_append_only")
    for number in range(2, 5):
        await store.append(append(f"loans-{number}"))
    rows = await whole_log(store)
    assert len({row.recorded_at for row in rows}) == 1
    assert HOUR - 60_000_000 < store.clock_behind <= HOUR


async def test_time_never_falls_with_position(store: PostgresEventStore) -> None:
    await asyncio.gather(*(store.append(append(f"loans-{number}")) for number in range(200)))
    times = [row.recorded_at for row in await whole_log(store)]
    assert times == sorted(times)
