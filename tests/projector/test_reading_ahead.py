"""Reading ahead while a large batch is written: it is a hope, and counts only where it has come true."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.exceptions import ConnectionError as RedisGone

from query_service.projector.batch import AT_LEAST, AT_MOST, NotTheLog, Slice, shares
from query_service.projector.decoding import Prepared
from query_service.projector.reading_ahead import WORTH_WHILE, ReadingAhead
from query_service.projector.source import Cursor, Reading
from tests.support.history import History
from tests.support.tallies import TallyOpened

FORGED_AFTER = 13
START = [Cursor(0, 1, 0), Cursor(1, 1, 0)]


class Streams:
    """A source that keeps what it was asked."""

    def __init__(self, events: int = WORTH_WHILE) -> None:
        self.asked: list[list[Cursor]] = []
        self.events = events
        self.gone = False

    async def read(self, cursors: Sequence[Cursor], _: float) -> Reading:
        self.asked.append(list(cursors))
        if self.gone:
            raise RedisGone
        return Reading(slices=[slice_of(0, cursors[0].position, self.events)])


def slice_of(partition: int, after: int, events: int) -> Slice:
    row = History().append_bytes("tallies-1", TallyOpened.TOPIC, b"{}")
    return Slice(partition, after, 1, [row] * events)


async def prepare(events: Slice) -> Prepared:
    if events.after == FORGED_AFTER:
        raise NotTheLog("changed")
    return Prepared(events, [])


async def begun(streams: Streams) -> tuple[ReadingAhead, list[Cursor]]:
    """After the first reading; and where the cursors are to be when its batch is written."""
    ahead = ReadingAhead(streams.read, prepare)
    ahead.start(START, await ahead.read(START, 0.0))
    await asyncio.sleep(0)
    return ahead, [Cursor(0, 1, 1), START[1]]


async def test_what_follows_was_read_already() -> None:
    streams = Streams()
    ahead, hoped = await begun(streams)
    assert streams.asked == [START, hoped]
    await ahead.read(hoped, 0.0)
    assert len(streams.asked) == 2


async def read_ahead_of(after: int) -> Reading:
    ahead = ReadingAhead(Streams().read, prepare)
    ahead.start([Cursor(0, 1, after)], Reading(slices=[slice_of(1, 0, WORTH_WHILE)]))
    return await ahead.read([Cursor(0, 1, after)], 0.0)


async def test_what_was_read_ahead_is_prepared_already() -> None:
    reading = await read_ahead_of(after=7)
    assert (set(reading.prepared), reading.partitions) == ({0}, {0})


async def test_what_cannot_be_prepared_is_left_to_whoever_handles_it() -> None:
    reading = await read_ahead_of(FORGED_AFTER)
    assert (set(reading.prepared), reading.partitions) == (set(), {0})


async def test_batch_that_was_not_written_is_read_again() -> None:
    streams = Streams()
    ahead, _ = await begun(streams)
    await ahead.read(START, 0.0)
    assert streams.asked[2] == START


async def test_little_is_not_worth_it() -> None:
    streams = Streams(events=WORTH_WHILE - 1)
    ahead, _ = await begun(streams)
    await ahead.forget()
    assert streams.asked == [START]


async def test_error_counts_only_for_who_asks_for_it() -> None:
    streams = Streams()
    ahead = ReadingAhead(streams.read, prepare)
    first = await ahead.read(START, 0.0)
    streams.gone = True
    ahead.start(START, first)
    await ahead.forget()
    ahead.start(START, first)
    with pytest.raises(RedisGone):
        await ahead.read([Cursor(0, 1, 1), START[1]], 0.0)


@pytest.mark.parametrize(
    ("sizes", "transactions"),
    [
        ([1] * 8, 1),
        ([AT_LEAST], 1),
        ([10 * AT_LEAST], 1),
        ([AT_LEAST, AT_LEAST], 2),
        ([AT_LEAST] * 8, AT_MOST),
    ],
)
def test_much_is_handled_side_by_side_and_little_together(sizes: list[int], transactions: int) -> None:
    slices = [slice_of(partition, 0, size) for partition, size in enumerate(sizes)]
    found = shares(slices)
    assert len(found) == transactions
    assert sorted(events.partition for share in found for events in share) == list(range(len(sizes)))
