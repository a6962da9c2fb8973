"""What a projector holds in memory at once stays small, however large the events are and however many wait."""

from itertools import pairwise
from uuid import uuid4

from command_service.infrastructure.event_store.store import MAX_PAYLOAD
from query_service.projector.source import BATCH, FIRST_BATCH, HEAVY, Cursor, Source
from tests.support.history import EPOCH
from tests.support.read_side import ReadSide, write
from tests.support.tallies import TallyNoted

LARGE = b'"' + b"x" * (MAX_PAYLOAD - 2) + b'"'
AT_MOST = 4 * HEAVY
"""Before it is known how large the events are."""


def write_large(side: ReadSide, count: int = 200) -> None:
    for _ in range(count):
        side.history.append_bytes(f"tallies-{uuid4()}", TallyNoted.TOPIC, LARGE)


class Reader:
    """Reads as a projector does, and keeps what each reading weighed and how many events it had of one partition."""

    def __init__(self, side: ReadSide) -> None:
        self._source = Source(side.redis, side.feed)
        self._cursors = [Cursor(number, EPOCH, 0) for number in range(side.history.partitions)]
        self.positions: list[int] = []
        self.weights: list[int] = []
        self.largest: list[int] = []

    async def read(self) -> bool:
        """Whether there was anything."""
        reading = await self._source.read(self._cursors, 0.01)
        for events in reading.slices:
            self._cursors[events.partition] = Cursor(events.partition, EPOCH, events.upto)
            self.positions += [row.position for row in events.rows]
        self.weights.append(sum(len(row.payload) for events in reading.slices for row in events.rows))
        self.largest.append(max((len(events.rows) for events in reading.slices), default=0))
        return bool(reading.slices)

    async def read_all(self, side: ReadSide) -> None:
        while len(self.positions) < len(side.history.rows):
            await self.read()
        assert sorted(self.positions) == list(range(1, len(side.history.rows) + 1))


async def test_reading_of_the_largest_events_is_bounded_from_the_first_one_on(side: ReadSide) -> None:
    write_large(side)
    await side.publish()
    reader = Reader(side)
    await reader.read_all(side)
    assert max(reader.weights) <= AT_MOST
    assert max(reader.weights[1:]) <= HEAVY


async def test_what_the_streams_lack_is_no_heavier_from_the_feed(side: ReadSide) -> None:
    write_large(side, 60)
    await side.publish(59)
    reader = Reader(side)
    await reader.read_all(side)
    assert max(reader.weights) <= AT_MOST


async def test_many_small_events_are_read_in_large_batches_and_large_ones_after_them_are_not(side: ReadSide) -> None:
    write(side, 8_000)
    await side.publish()
    reader = Reader(side)
    await reader.read_all(side)
    assert max(reader.largest) == BATCH
    assert all(much <= max(FIRST_BATCH, 2 * before) for before, much in pairwise(reader.largest))
    assert not await reader.read()
    write_large(side)
    await side.publish(16_000)
    await reader.read_all(side)
    assert max(reader.weights) <= AT_MOST
