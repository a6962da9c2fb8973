"""Our three ways to append, and the loops in which everybody is measured: one append at a time from many writers."""

import asyncio
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import uuid_utils
import uvloop
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, StoredEvent
from psycopg.conninfo import conninfo_to_dict

from command_service.infrastructure import schema
from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Claim,
    ClaimAction,
    IdempotencyRecord,
    NewEvent,
)

TOPIC = "resources.ResourceCreated.v1"
METADATA = (
    b'{"actor":"0191d0e2-7d1c-7000-8000-000000000000","causation_id":null,'
    b'"correlation_id":"0191d0e2-7d1c-7000-8000-000000000000","occurred_at":"2026-11-23T17:05:20.930000Z",'
    b'"schema_version":1,"trace_id":null}'
)
ACTOR = "0191d0e2-7d1c-7000-8000-000000000000"

WITHOUT_LEAF = """
CREATE OR REPLACE FUNCTION leaf_hash_v1(
    at_position bigint, tenant text, tenant_seq bigint, stream text, version bigint, topic text,
    payload_format smallint, event_id uuid, recorded_at bigint, metadata bytea, payload bytea
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE RETURN '\\x00'::bytea
"""

Once = Callable[[], Awaitable[object]]


def payload_of(size: int) -> bytes:
    description = b"x" * max(0, size - 87)
    return b'{"attributes":{},"classification":"internal","description":"%s","name":"bench","tags":[]}' % description


PAYLOAD = payload_of(200)


@dataclass(frozen=True, slots=True)
class Load:
    """Who writes how much where; `events` are in the store before, `size` are the bytes of a payload."""

    url: str
    writers: int
    seconds: float
    size: int = 200
    events: int = 0

    @property
    def payload(self) -> bytes:
        return payload_of(self.size)


@dataclass(frozen=True, slots=True)
class Measured:
    """How long each answer took (in seconds), all in how many seconds; `each` events came with an answer."""

    seconds: float
    latencies: list[float]
    each: int = 1


def in_threads(once: Callable[[], object], load: Load) -> Measured:
    """`once` over and over from as many threads, and by each at least once."""
    latencies: list[list[float]] = [[] for _ in range(load.writers)]
    start = threading.Barrier(load.writers + 1)
    end = [0.0]

    def write(mine: list[float]) -> None:
        start.wait()
        while (began := time.perf_counter()) < end[0] or not mine:
            once()
            mine.append(time.perf_counter() - began)

    threads = [threading.Thread(target=write, args=(mine,)) for mine in latencies]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    end[0] = began + load.seconds
    start.wait()
    for thread in threads:
        thread.join()
    return Measured(time.perf_counter() - began, [each for mine in latencies for each in mine])


async def in_tasks(onces: list[Once], seconds: float, each: int = 1) -> Measured:
    """Each of `onces` over and over in a task of its own, and at least once."""
    latencies: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def write(once: Once) -> None:
        at = time.perf_counter()
        while True:
            await once()
            latencies.append(time.perf_counter() - at)
            if (at := time.perf_counter()) >= end:
                return

    await asyncio.gather(*map(write, onces))
    return Measured(time.perf_counter() - began, latencies, each)


@contextmanager
def recorder_of(module: str, load: Load, **variables: str) -> Iterator[ApplicationRecorder]:
    """A recorder of the `eventsourcing` library, with a connection for each writer."""
    parts = conninfo_to_dict(load.url)
    variables |= {
        "PERSISTENCE_MODULE": module,
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts["password"]),
        "POSTGRES_POOL_SIZE": str(load.writers + 1),
    }
    factory = InfrastructureFactory[Any].construct(variables)
    with factory:
        yield factory.application_recorder()


def through_recorder(module: str, load: Load, **variables: str) -> Measured:
    payload = load.payload
    with recorder_of(module, load, **variables) as recorder:
        recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, payload)])
        return in_threads(lambda: recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, payload)]), load)


def persistence_module(load: Load) -> Measured:
    """The library with our persistence module."""
    return through_recorder("command_service.infrastructure.event_store", load)


def events_only(load: Load) -> Measured:
    """Our append port, one event each, no claim and no key (the leaf, the slot and the order are always there)."""
    return uvloop.run(_appends(load, _bare))


def without_leaf(load: Load) -> Measured:
    """The same with the leaf hash taken out, to see what it costs."""
    schema.upgrade(load.url, None)
    with psycopg.connect(load.url, autocommit=True) as connection:
        connection.execute(WITHOUT_LEAF)
    return events_only(load)


def everything(load: Load) -> Measured:
    """The same with metadata, an idempotency record, a claim to take and a claim to require."""
    return uvloop.run(_appends(load, _whole))


def read_by_id(load: Load) -> Measured:
    """One stream each, any of those that are there."""
    return uvloop.run(_reads(load))


@asynccontextmanager
async def _store(load: Load) -> AsyncIterator[PostgresEventStore]:
    schema.upgrade(load.url, None)
    async with PostgresEventStore(load.url, topics={TOPIC}, readers=8) as store:
        yield store


async def _appends(load: Load, wish: Callable[[bytes], Append]) -> Measured:
    payload = load.payload
    async with _store(load) as store:
        with suppress(AppendConflict):  # an earlier round made it
            await store.append(_tenant())

        async def once() -> None:
            await store.append(wish(payload))

        return await in_tasks([once] * load.writers, load.seconds)


async def _reads(load: Load) -> Measured:
    chance = random.Random(1)  # noqa: S311 (repeatable, not secret)
    async with _store(load) as store:

        async def once() -> None:
            number = chance.randrange(load.events) + 1
            assert len(await store.read_stream("default", f"resources-{number:032x}")) == 1

        return await in_tasks([once] * load.writers, load.seconds)


def _bare(payload: bytes) -> Append:
    event_id = uuid_utils.uuid7()
    return Append("default", f"resources-{event_id}", 0, (NewEvent(UUID(int=event_id.int), TOPIC, payload, b"{}"),))


def _whole(payload: bytes) -> Append:
    event_id = uuid_utils.uuid7()
    stream = f"resources-{event_id}"
    return Append(
        "default",
        stream,
        0,
        (NewEvent(UUID(int=event_id.int), TOPIC, payload, METADATA),),
        (Claim(ClaimAction.REQUIRE, "tenant", "default"), Claim(ClaimAction.TAKE, "name", stream)),
        IdempotencyRecord(ACTOR, os.urandom(32), os.urandom(32), 201, payload),
    )


def _tenant() -> Append:
    event = NewEvent(UUID(int=uuid_utils.uuid7().int), TOPIC, b"{}", b"{}")
    return Append("default", "tenants-default", 0, (event,), (Claim(ClaimAction.TAKE, "tenant", "default"),))
