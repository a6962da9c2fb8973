"""The client of the feed against a real HTTP server: pages, stretches, and answers that are no feed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Response

from query_service.infrastructure import feed as feed_module
from query_service.infrastructure.feed import Feed, FeedUnavailable, Stretch
from shared_kernel.messaging.feed import FEED_PATH, LogFacts, encode
from shared_kernel.web.server import serve
from tests.support.feed_server import CREDENTIAL, FeedServer, running_feed
from tests.support.history import History

HEADERS = {"Log-Epoch": "1", "Log-Head": "1", "Log-Partitions": "8"}


@pytest.fixture
async def server() -> AsyncIterator[FeedServer]:
    history = History()
    for number in range(60):
        history.append_bytes(f"things-{number % 20}", "tests.Happened.v1", b"{}")
    async with running_feed(history) as running:
        yield running


@asynccontextmanager
async def client(url: str, credential: bytes = CREDENTIAL) -> AsyncIterator[Feed]:
    feed = Feed(url, credential)
    try:
        yield feed
    finally:
        await feed.close()


async def everything(feed: Feed, partition: int, upto: int, size: int, page: int = 2_000) -> Sequence[Stretch]:
    return [stretch async for stretch in feed.read(partition, 0, upto, size, page)]


def busiest(history: History) -> tuple[int, list[int]]:
    """The partition with most events, and its positions."""
    positions: dict[int, list[int]] = {}
    for row in history.rows:
        positions.setdefault(history.partition(row), []).append(row.position)
    return max(positions.items(), key=lambda item: len(item[1]))


async def test_facts_are_read_without_any_event_being_needed(server: FeedServer) -> None:
    async with client(server.url) as feed:
        assert await feed.facts() == LogFacts(epoch=1, head=60, partitions=8)


@pytest.mark.parametrize(("size", "page"), [(1, 1), (3, 2_000), (2, 5), (100, 2_000)])
async def test_partition_is_read_whole_whatever_the_sizes(server: FeedServer, size: int, page: int) -> None:
    partition, positions = busiest(server.history)
    async with client(server.url) as feed:
        stretches = await everything(feed, partition, 60, size, page)
    assert [row.position for stretch in stretches for row in stretch.rows] == positions
    assert all(len(stretch.rows) <= size and stretch.epoch == 1 for stretch in stretches)


async def test_nothing_after_the_wanted_position_is_given(server: FeedServer) -> None:
    partition, positions = busiest(server.history)
    async with client(server.url) as feed:
        stretches = await everything(feed, partition, positions[2], 100)
    assert [row.position for stretch in stretches for row in stretch.rows] == positions[:3]


async def test_rows_arrive_byte_by_byte_as_they_are_stored(server: FeedServer) -> None:
    server.history.append_bytes("things-x", "tests.Happened.v1", bytes(range(256)))
    row = server.history.rows[-1]
    async with client(server.url) as feed:
        stretches = await everything(feed, server.history.partition(row), 61, 100)
    assert stretches[-1].rows[-1] == row


async def test_heavy_events_come_in_small_stretches(server: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "STRETCH_BYTES", 10)
    partition, positions = busiest(server.history)
    async with client(server.url) as feed:
        stretches = await everything(feed, partition, 60, 100)
    assert [len(stretch.rows) for stretch in stretches] == [1] * len(positions)


async def test_wrong_credential_is_unavailable_and_says_the_status(server: FeedServer) -> None:
    async with client(server.url, bytes(32)) as feed:
        with pytest.raises(FeedUnavailable, match="answers 401"):
            await feed.facts()


async def test_nobody_at_the_address_is_unavailable() -> None:
    async with client("http://127.0.0.1:1") as feed:
        with pytest.raises(FeedUnavailable, match="ConnectError"):
            await feed.facts()


@asynccontextmanager
async def answering(response: Response) -> AsyncIterator[Feed]:
    """A client of a server that always gives the same answer."""

    async def answer() -> Response:
        return response

    app = FastAPI(openapi_url=None)
    app.add_api_route(FEED_PATH, answer)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, grace_seconds=1, started=ready.set_result))
    async with client(f"http://127.0.0.1:{await ready}") as feed:
        yield feed
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"<html>", HEADERS, "middle of a line"),
        (b"<html>\n", HEADERS, "are not events"),
        (b"{}\n", HEADERS, "are not events"),
        (encode(History().append_bytes("a", "b", b"{}"))[:-1], HEADERS, "middle of a line"),
        (b"", {}, "does not say its epoch"),
        (b"", {**HEADERS, "Log-Epoch": "soon"}, "does not say its epoch"),
    ],
)
async def test_answer_that_is_no_feed_is_unavailable_and_says_why(
    body: bytes, headers: dict[str, str], words: str
) -> None:
    async with answering(Response(body, headers=headers)) as feed:
        with pytest.raises(FeedUnavailable, match=words):
            await everything(feed, 0, 10, 10)
