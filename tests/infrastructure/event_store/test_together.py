"""Loads and look-ups that share a SELECT: each gets what belongs to its tenant, actor and stream, and nothing else."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import Append, IdempotencyRecord
from command_service.infrastructure.event_store.reads import Reads
from command_service.infrastructure.event_store.together import Together
from tests.infrastructure.event_store.given import event

TENANTS = ("default", "globex", "initech")
STREAMS = tuple(f"loans-{number}" for number in range(6))
KEY = b"k" * 32


async def fill(store: PostgresEventStore) -> None:
    """The same streams and the same key of the same actors in every tenant; contents say whose they are."""
    for number, stream in enumerate(STREAMS):
        await asyncio.gather(*(store.append(wish(tenant, stream, number + 1)) for tenant in TENANTS))


def wish(tenant: str, stream: str, length: int) -> Append:
    events = tuple(event(f'{{"of": "{tenant} {stream}"}}'.encode()) for _ in range(length))
    answer = f"{tenant} {stream}".encode()
    return Append(tenant, stream, 0, events, idempotency=IdempotencyRecord(stream, KEY, KEY, 201, answer))


async def wrong(store: PostgresEventStore) -> int:
    """How many of all that was asked at once came with what is somebody else's, or not whole."""

    async def stream_of(tenant: str, stream: str, after: int) -> bool:
        rows = await store.read_stream(tenant, stream, after)
        length = STREAMS.index(stream) + 1
        whose = {(row.tenant, row.stream, row.payload) for row in rows}
        mine = (tenant, stream, f'{{"of": "{tenant} {stream}"}}'.encode())
        return [row.version for row in rows] == list(range(after + 1, length + 1)) and whose <= {mine}

    async def answer_of(tenant: str, stream: str) -> bool:
        found = await store.find_idempotent(tenant, stream, KEY)
        return found is not None and (found.actor, found.answer) == (stream, f"{tenant} {stream}".encode())

    every = [(tenant, stream) for tenant in TENANTS for stream in STREAMS]
    streams = [stream_of(*each, after) for each in every for after in (0, 2)]
    return (await asyncio.gather(*streams, *(answer_of(*each) for each in every))).count(False)


async def test_streams_and_answers_of_many_tenants_are_never_mixed(store: PostgresEventStore) -> None:
    await fill(store)
    assert await wrong(store) == 0


async def test_that_test_finds_a_mix_up(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(store)

    async def of_any_tenant(self: Together, asked: Sequence[tuple[str, str, int]]) -> list[Any]:
        found = await right(self, asked)
        return found[1:] + found[:1]

    right = Together._read_streams
    monkeypatch.setattr(Together, "_read_streams", of_any_tenant)
    store._reads._together = Together(store._reads._fetch)
    assert await wrong(store) > 0


async def test_what_is_asked_at_once_is_one_select(store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(store)
    queries: list[str] = []
    run = Reads._run

    async def counted(self: Reads, query: Any, *rest: Any) -> Any:
        queries.append(query)
        return await run(self, query, *rest)

    monkeypatch.setattr(Reads, "_run", counted)
    asked = [(tenant, stream) for tenant in TENANTS for stream in STREAMS]
    rows = await asyncio.gather(*(store.read_stream(*each) for each in asked * 2))
    assert len(queries) == 1
    assert [row[0].stream for row in rows[: len(asked)]] == [stream for _, stream in asked]


async def test_streams_and_answers_that_are_not_there_are_empty_among_those_that_are(store: PostgresEventStore) -> None:
    await fill(store)
    none, some, unknown, kept = await asyncio.gather(
        store.read_stream("default", "loans-none"),
        store.read_stream("default", "loans-1"),
        store.find_idempotent("default", "loans-1", b"x" * 32),
        store.find_idempotent("default", "loans-1", KEY),
    )
    assert (len(none), len(some), unknown, kept and kept.status) == (0, 2, None, 201)
