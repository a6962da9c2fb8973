"""Who is measured: each contestant appends one event at a time from many writers, and knows nothing of the others."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
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
PAYLOAD = b'{"attributes":{},"classification":"internal","description":"' + b"x" * 140 + b'","name":"bench","tags":[]}'
METADATA = (
    b'{"actor":"0191d0e2-7d1c-7000-8000-000000000000","causation_id":null,'
    b'"correlation_id":"0191d0e2-7d1c-7000-8000-000000000000","occurred_at":"2026-11-23T17:05:20.930000Z",'
    b'"schema_version":1,"trace_id":null}'
)
ACTOR = "0191d0e2-7d1c-7000-8000-000000000000"

Once = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Measured:
    """How many appends were acknowledged in how many seconds, and how long each took, in seconds."""

    seconds: float
    latencies: list[float]


def in_threads(once: Callable[[], object], writers: int, seconds: float) -> Measured:
    """`once` over and over from as many threads."""
    latencies: list[list[float]] = [[] for _ in range(writers)]
    start = threading.Barrier(writers + 1)
    end = [0.0]

    def write(mine: list[float]) -> None:
        start.wait()
        while (began := time.perf_counter()) < end[0]:
            once()
            mine.append(time.perf_counter() - began)

    threads = [threading.Thread(target=write, args=(mine,)) for mine in latencies]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    end[0] = began + seconds
    start.wait()
    for thread in threads:
        thread.join()
    return Measured(time.perf_counter() - began, [each for mine in latencies for each in mine])


async def in_tasks(onces: list[Once], seconds: float) -> Measured:
    """Each of `onces` over and over in a task of its own."""
    latencies: list[float] = []
    began = time.perf_counter()
    end = began + seconds

    async def write(once: Once) -> None:
        while (at := time.perf_counter()) < end:
            await once()
            latencies.append(time.perf_counter() - at)

    await asyncio.gather(*map(write, onces))
    return Measured(time.perf_counter() - began, latencies)


@contextmanager
def recorder_of(module: str, url: str, writers: int) -> Iterator[ApplicationRecorder]:
    """A recorder of the `eventsourcing` library, with a connection for each writer."""
    parts = conninfo_to_dict(url)
    variables = {
        "PERSISTENCE_MODULE": module,
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts["password"]),
        "POSTGRES_POOL_SIZE": str(writers + 1),
    }
    factory = InfrastructureFactory[Any].construct(variables)
    with factory:
        yield factory.application_recorder()


def through_recorder(module: str, url: str, writers: int, seconds: float) -> Measured:
    with recorder_of(module, url, writers) as recorder:
        recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, PAYLOAD)])
        return in_threads(lambda: recorder.insert_events([StoredEvent(uuid4(), 1, TOPIC, PAYLOAD)]), writers, seconds)


def library(url: str, writers: int, seconds: float) -> Measured:
    """The library's own recorder in its safe (default) mode."""
    return through_recorder("eventsourcing.postgres", url, writers, seconds)


def persistence_module(url: str, writers: int, seconds: float) -> Measured:
    """The library with our persistence module."""
    return through_recorder("command_service.infrastructure.event_store", url, writers, seconds)


def plain_insert(url: str, writers: int, seconds: float) -> Measured:
    """One INSERT per transaction, a connection per writer: no order, no checks but two unique keys."""
    return uvloop.run(_plain_insert(url, writers, seconds))


async def _plain_insert(url: str, writers: int, seconds: float) -> Measured:
    async with AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
            for _ in range(writers)
        ]
        await connections[0].execute(
            """
            CREATE TABLE IF NOT EXISTS plain (
                position bigserial PRIMARY KEY, stream text NOT NULL, version bigint NOT NULL, topic text NOT NULL,
                payload bytea NOT NULL, metadata bytea NOT NULL, event_id uuid NOT NULL UNIQUE,
                UNIQUE (stream, version))
            """
        )

        def writer(connection: psycopg.AsyncConnection[Any]) -> Once:
            async def once() -> None:
                event_id = uuid_utils.uuid7()
                await connection.execute(
                    "INSERT INTO plain (stream, version, topic, payload, metadata, event_id)"
                    " VALUES (%s, %s, %s, %s, %s, %s)",
                    (f"resources-{event_id}", 1, TOPIC, PAYLOAD, b"{}", UUID(int=event_id.int)),
                    prepare=True,
                )

            return once

        return await in_tasks([writer(connection) for connection in connections], seconds)


def events_only(url: str, writers: int, seconds: float) -> Measured:
    """Our append port, one event each, no claim and no key (the leaf, the slot and the order are always there)."""
    return uvloop.run(_appends(url, writers, seconds, _bare))


def everything(url: str, writers: int, seconds: float) -> Measured:
    """The same with metadata, an idempotency record, a claim to take and a claim to require."""
    return uvloop.run(_appends(url, writers, seconds, _whole))


async def _appends(url: str, writers: int, seconds: float, wish: Callable[[], Append]) -> Measured:
    schema.upgrade(url, None)
    async with PostgresEventStore(url, topics={TOPIC}) as store:
        with suppress(AppendConflict):  # an earlier round made it
            await store.append(_tenant())

        async def once() -> None:
            await store.append(wish())

        return await in_tasks([once] * writers, seconds)


def _bare() -> Append:
    event_id = uuid_utils.uuid7()
    return Append("default", f"resources-{event_id}", 0, (NewEvent(UUID(int=event_id.int), TOPIC, PAYLOAD, b"{}"),))


def _whole() -> Append:
    event_id = uuid_utils.uuid7()
    stream = f"resources-{event_id}"
    return Append(
        "default",
        stream,
        0,
        (NewEvent(UUID(int=event_id.int), TOPIC, PAYLOAD, METADATA),),
        (Claim(ClaimAction.REQUIRE, "tenant", "default"), Claim(ClaimAction.TAKE, "name", stream)),
        IdempotencyRecord(ACTOR, os.urandom(32), os.urandom(32), 201, PAYLOAD),
    )


def _tenant() -> Append:
    event = NewEvent(UUID(int=uuid_utils.uuid7().int), TOPIC, b"{}", b"{}")
    return Append("default", "tenants-default", 0, (event,), (Claim(ClaimAction.TAKE, "tenant", "default"),))


CONTESTANTS: dict[str, Callable[[str, int, float], Measured]] = {
    "library": library,
    "persistence-module": persistence_module,
    "plain-insert": plain_insert,
    "events-only": events_only,
    "everything": everything,
}
