"""However long the log is, reading it takes the memory of a page."""

import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from tests.support import results
from tests.support.cluster import Database
from tests.support.large_log import fill

MIB = 1024 * 1024
ALLOWED = {"log": 8 * MIB, "log_backwards": 8 * MIB, "by_time": 8 * MIB, "feed": 2 * MIB, "stream": 8 * MIB}
"""Bytes. A page of a thousand rows of this log has about one megabyte and a half; one of the feed has twelve, of which
only pieces are ever here.
"""


@contextmanager
def peak_of(name: str, peaks: dict[str, int]) -> Iterator[None]:
    tracemalloc.start()
    yield
    peaks[name] = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


async def fed(store: PostgresEventStore) -> AsyncIterator[int]:
    after = 0
    while True:
        _, pieces = await store.feed(after, 10_000)
        lines = [piece.count(b"\n") async for piece in pieces]
        if not sum(lines):
            return
        after += sum(lines)
        yield sum(lines)


async def streamed(store: PostgresEventStore, stream: str) -> AsyncIterator[int]:
    after = 0
    while rows := await store.read_stream("default", stream, after, limit=1_000):
        after = rows[-1].version
        yield len(rows)


async def peaks_of(store: PostgresEventStore, database: Database, events: int) -> dict[str, int]:
    """Bytes that Python held at most, by the way of reading."""
    fill(database.owner_url, events, streams=1)
    (first,) = [row async for rows in store.read_log(0, 1) for row in rows]
    peaks: dict[str, int] = {}
    for name, batches in (("log", store.read_log(0)), ("log_backwards", store.read_log_backwards())):
        with peak_of(name, peaks):
            assert sum([len(rows) async for rows in batches]) == events
    with peak_of("by_time", peaks):  # all but the first, which was recorded before
        after = await store.last_before(first.recorded_at + 1)
        assert sum([len(rows) async for rows in store.read_log(after)]) == events - 1
    for name, counts in (("feed", fed(store)), ("stream", streamed(store, first.stream))):
        with peak_of(name, peaks):
            assert sum([count async for count in counts]) == events
    return peaks


async def test_long_log_is_read_in_the_memory_of_a_page(store: PostgresEventStore, command_database: Database) -> None:
    assert_allowed(await peaks_of(store, command_database, 12_000))


def assert_allowed(peaks: dict[str, int]) -> None:
    assert {name: peak for name, peak in peaks.items() if peak > ALLOWED[name]} == {}


@pytest.mark.long
async def test_two_hundred_thousand_events_are_read_in_the_memory_of_a_page(
    store: PostgresEventStore, command_database: Database
) -> None:
    """READ_EVENTS chooses another length."""
    events = int(os.environ.get("READ_EVENTS", "200000"))
    peaks = await peaks_of(store, command_database, events)
    results.write("read-memory", {"seed": 0, "rounds": 1, "events": events, "peak_bytes": peaks, "allowed": ALLOWED})
    assert_allowed(peaks)
