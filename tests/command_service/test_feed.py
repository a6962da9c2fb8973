"""The feed: the log as the query service reads it, and nobody else."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from command_service.infrastructure import feed
from command_service.infrastructure.event_store.feeding import LANES
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.leaf import leaf_of
from shared_kernel.messaging.feed import decode
from shared_kernel.messaging.partition import partition_of
from tests.support.command_side import CommandSide
from tests.support.large_log import fill


async def lines(command_side: CommandSide, **query: int) -> list[StoredRow]:
    headers = {"Authorization": command_side.services.feed_credential.decode()}
    answer = await command_side.http.get("/v1/feed", params=query, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jsonl"
    return [decode(line) for line in answer.content.splitlines()]


async def test_feed_shows_the_log_as_it_is_stored(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for name in ("a", "b", "c"):
        await command_side.create_resource(ada, name)
    rows = await lines(command_side)
    assert [row.position for row in rows] == [1, 2, 3, 4, 5]
    assert all(row.leaf_hash == leaf_of(row) for row in rows)
    stored = await command_side.rows("SELECT payload, metadata FROM events ORDER BY position")
    assert [(row.payload, row.metadata) for row in rows] == [(r["payload"], r["metadata"]) for r in stored]


async def test_feed_goes_on_after_a_position_and_stops_at_the_limit(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for name in ("a", "b", "c"):
        await command_side.create_resource(ada, name)
    assert [row.position for row in await lines(command_side, after=2, limit=2)] == [3, 4]
    assert await lines(command_side, after=5) == []


async def test_partitions_together_are_the_whole_log(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for number in range(12):
        await command_side.create_resource(ada, str(number))
    found = {partition: await lines(command_side, partition=partition) for partition in range(8)}
    assert all(partition_of(row.slot, 8) == partition for partition, rows in found.items() for row in rows)
    positions = [row.position for rows in found.values() for row in rows]
    assert sorted(positions) == list(range(1, 15))


async def test_headers_say_epoch_head_and_partitions(command_side: CommandSide) -> None:
    headers = {"Authorization": command_side.services.feed_credential.decode()}
    answer = await command_side.http.get("/v1/feed", params={"limit": 1}, headers=headers)
    assert [answer.headers[name] for name in ("Log-Epoch", "Log-Head", "Log-Partitions")] == ["1", "1", "8"]


async def test_nobody_reads_the_feed_without_its_credential(command_side: CommandSide) -> None:
    admin = await command_side.register("Adm", roles=("admin", "auditor"))
    credential = command_side.services.feed_credential.decode()
    for authorization in ("", f"Bearer {command_side.access_token(admin)}", credential[:-1], credential.upper(), "ü"):
        headers = {b"Authorization": authorization.encode("latin-1")}
        answer = await command_side.http.get("/v1/feed", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_bad_questions_are_422(command_side: CommandSide) -> None:
    headers = {"Authorization": command_side.services.feed_credential.decode()}
    for query in ({"after": -1}, {"limit": 0}, {"limit": 10_001}, {"partition": -1}, {"after": 2**63}, {"colour": 1}):
        answer = await command_side.http.get("/v1/feed", params=query, headers=headers)
        assert answer.status_code == 422, query


@contextmanager
def stalled_reader(command_side: CommandSide) -> Iterator[socket.socket]:
    """Somebody who asks for a page and takes none of it."""
    credential = command_side.services.feed_credential.decode()
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect((command_side.http.base_url.host, command_side.http.base_url.port))
        reader.sendall(f"GET /v1/feed?limit=10000 HTTP/1.1\r\nHost: x\r\nAuthorization: {credential}\r\n\r\n".encode())
        yield reader


async def test_readers_who_stall_give_their_places_to_others(
    command_side: CommandSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "STALLED_SECONDS", 0.3)
    fill(command_side.database.owner_url, 12_000, streams=1)
    with ExitStack() as readers:
        for _ in range(LANES):
            reader = readers.enter_context(stalled_reader(command_side))
            assert await asyncio.to_thread(reader.recv, 12) == b"HTTP/1.1 200"
        assert len(await lines(command_side, limit=10)) == 10
