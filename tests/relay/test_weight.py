"""What the relay holds in memory at once stays small, however large the events are and however many wait."""

import asyncio
from uuid import uuid4

from command_service.infrastructure.event_store.port import Append, NewEvent
from command_service.infrastructure.event_store.store import MAX_PAYLOAD, PostgresEventStore
from command_service.relay.log import HEAVY, Log, connect
from command_service.relay.relay import BATCH
from shared_kernel.events.envelope import StoredRow
from tests.support.history import METADATA
from tests.support.write_side import TOPIC, WriteSide


async def append_large(store: PostgresEventStore, size: int, count: int = 1) -> None:
    payload = b'"' + b"x" * (size - 2) + b'"'
    events = [NewEvent(uuid4(), TOPIC, payload, METADATA) for _ in range(count)]
    await asyncio.gather(*(store.append(Append("default", f"things-{uuid4()}", 0, (event,))) for event in events))


async def readings(side: WriteSide) -> list[list[StoredRow]]:
    """The whole log as the relay reads it, in as many readings as it takes."""
    found: list[list[StoredRow]] = []
    async with await connect(side.database.app_url) as connection:
        after = 0
        while rows := await Log(connection).read(after, BATCH):
            found.append(list(rows))
            after = rows[-1].position
    return found


def weight(rows: list[StoredRow]) -> int:
    return sum(len(row.payload) for row in rows)


async def test_reading_of_the_largest_events_is_bounded(side: WriteSide) -> None:
    await append_large(side.store, MAX_PAYLOAD, 60)
    found = await readings(side)
    assert [row.position for rows in found for row in rows] == list(range(1, 61))
    assert max(map(weight, found)) < HEAVY + MAX_PAYLOAD
    assert len(found) == 4


async def test_event_heavier_than_a_reading_is_read_by_itself(side: WriteSide) -> None:
    async with PostgresEventStore(side.database.app_url, topics=[TOPIC], max_payload=HEAVY + 1) as store:
        await append_large(store, HEAVY + 1)
    await append_large(side.store, 1_000, 3)
    assert [[row.position for row in rows] for rows in await readings(side)] == [[1], [2, 3, 4]]
