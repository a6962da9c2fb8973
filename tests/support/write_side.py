"""A relay's surroundings for one test: a real event store to append to, a real Redis to publish on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psycopg
from redis.asyncio import Redis

from command_service.infrastructure.event_store.port import Append, Appended, NewEvent
from command_service.infrastructure.event_store.store import PostgresEventStore
from command_service.relay.publisher import Publisher
from command_service.relay.relay import Relay
from command_service.relay.status import Status
from shared_kernel.clock import SystemClock
from shared_kernel.messaging.client import redis_client
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.message import Message, decode
from shared_kernel.messaging.partition import stream_key
from shared_kernel.observability import Metrics
from tests.support.cluster import Database
from tests.support.history import METADATA
from tests.support.waiting import ended

TOPIC = "tests.Happened.v1"
PARTITIONS = 8


@dataclass(slots=True)
class WriteSide:
    """The log, and what of it has been published."""

    database: Database
    store: PostgresEventStore
    redis: Redis
    versions: dict[str, int] = field(default_factory=dict)

    async def append(self, *streams: str) -> Appended:
        """One event for each stream, one after the other."""
        for stream in streams:
            version = self.versions.get(stream, 0)
            event = NewEvent(uuid4(), TOPIC, b'{"n": 1}', METADATA)
            appended = await self.store.append(Append("default", stream, version, (event,)))
            self.versions[stream] = appended.version
        return appended

    async def append_many(self, count: int) -> Appended:
        """Events of as many new streams, in batches as they come."""
        events = [NewEvent(uuid4(), TOPIC, b'{"n": 1}', METADATA) for _ in range(count)]
        appends = [Append("default", f"things-{uuid4()}", 0, (event,)) for event in events]
        return max(await asyncio.gather(*map(self.store.append, appends)), key=lambda appended: appended.position)

    @asynccontextmanager
    async def relay(self, *, max_length: int = 100_000, catch_up: int = 100_000) -> AsyncIterator[Status]:
        """A running relay; it has stopped gracefully at the end of the block."""
        stop, status = asyncio.Event(), Status(Metrics("test"))
        relay = Relay(
            self.database.app_url,
            Publisher(self.redis, max_length),
            status,
            clock=SystemClock(),
            stop=stop,
            catch_up_at_most=catch_up,
        )
        running = asyncio.create_task(relay.run())
        try:
            yield status
        finally:
            stop.set()
            await ended(running)

    async def mark(self) -> Mark | None:
        stored = await self.redis.get(MARK_KEY)
        return Mark.decode(stored) if isinstance(stored, bytes) else None

    async def published_upto(self, position: int, epoch: int = 1) -> bool:
        mark = await self.mark()
        return mark is not None and (mark.epoch, mark.head) == (epoch, position)

    async def messages(self) -> list[Message]:
        """Everything in Redis, in position order."""
        found = []
        for partition in range(PARTITIONS):
            entries: Any = await self.redis.xrange(stream_key(partition))
            for entry_id, fields in entries:
                message = decode(fields)
                assert entry_id == message.entry_id.encode()
                found.append(message)
        return sorted(found, key=lambda message: message.row.position)

    async def positions(self) -> list[int]:
        return [message.row.position for message in await self.messages()]

    def as_owner(self, *statements: str) -> None:
        """What no service may do: change the log behind its back."""
        with psycopg.connect(self.database.owner_url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def end_session_of_leader(self) -> None:
        """Cut the connection that holds the leader's lock."""
        with psycopg.connect(self.database.app_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l"
                " JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()"
                " WHERE l.locktype = 'advisory' AND l.granted"
            )

    def tamper(self, *statements: str) -> None:
        """The same with the log's own guard switched off."""
        guard = "ALTER TABLE events {} TRIGGER events_append_only"
        self.as_owner(guard.format("DISABLE"), *statements, guard.format("ENABLE"))


@asynccontextmanager
async def write_side(database: Database, redis_url: str) -> AsyncIterator[WriteSide]:
    """Open the store, and close everything at the end."""
    store = PostgresEventStore(database.app_url, topics=[TOPIC])
    async with store, redis_client(redis_url) as client:
        yield WriteSide(database, store, client)
