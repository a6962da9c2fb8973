"""Where events come from: the partition's stream in Redis, and the feed for whatever is missing there.

A hole shows itself in two ways. An entry names its predecessor in the partition: if that is not our checkpoint, we
miss what is between. And the mark names each partition's newest position: if it is beyond our checkpoint while the
stream, asked after the mark was read, has nothing for us, the stream was wiped or cut.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from query_service.infrastructure.feed import Feed, FeedUnavailable, Stretch
from query_service.projector.batch import NotTheLog, Slice
from query_service.projector.decoding import Prepared
from shared_kernel.messaging.client import read_streams
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.message import Message, decode
from shared_kernel.messaging.partition import stream_key

BATCH = 500
"""Events at most per partition and transaction."""

FIRST_BATCH = 8
"""As many while it is not known how many there are and how large: an event may be a megabyte."""

HEAVY = 16 * 1024 * 1024
"""Bytes of payload that a reading should not exceed."""

LATE_MARK = 2_000_000
"""Microseconds of the relay's time after which a mark that is behind our checkpoint is no accident."""


class OtherEpoch(NotTheLog):
    """What arrived is of another epoch than what we have read."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a partition has been read: the checkpoint in the database."""

    partition: int
    epoch: int
    position: int


@dataclass(slots=True)
class Reading:
    """What one look at the sources gave: slices to handle, partitions that cannot go on, and the newest mark.

    `prepared` holds by partition what was prepared of the slices already.
    """

    slices: list[Slice] = field(default_factory=list)
    prepared: dict[int, Prepared] = field(default_factory=dict)
    halted: dict[int, str] = field(default_factory=dict)
    mark: Mark | None = None
    feed_trouble: str = ""
    other_epoch: bool = False

    @property
    def partitions(self) -> AbstractSet[int]:
        """Those that have something to handle."""
        return {events.partition for events in self.slices}

    def halt(self, cursor: Cursor, reason: NotTheLog) -> None:
        self.halted[cursor.partition] = reason.detail
        self.other_epoch |= isinstance(reason, OtherEpoch)


class Source:
    """Reads several partitions at once. Remembers nothing but which holes it is filling from the feed."""

    def __init__(self, client: Redis, feed: Feed, batch: int = BATCH) -> None:
        self._client = client
        self._feed = feed
        self._batch = batch
        self._count = min(FIRST_BATCH, batch)
        self._missing_upto: dict[int, int] = {}
        self._behind_since: dict[int, int] = {}

    async def read(self, cursors: Sequence[Cursor], patience: float) -> Reading:
        """The next events after each cursor; waits up to `patience` seconds for some. Raises redis.RedisError."""
        gaps = [cursor for cursor in cursors if self._is_gap(cursor)]
        reading = Reading()
        for cursor in gaps:
            await self._fill(cursor, reading)
        rest = [cursor for cursor in cursors if cursor not in gaps]
        entries = await self._ask(rest, 0 if reading.slices else patience, reading)
        for cursor in rest:
            self._take(cursor, entries.get(cursor.partition, ()), reading)
        self._adapt(reading, len(cursors))
        return reading

    def _adapt(self, reading: Reading, partitions: int) -> None:
        """Twice as many next time as came now, if so many of the same size are not heavy: memory stays bounded.

        A stream does not tell how large its entries are until they are read: one reading may be heavy, the next is not.
        """
        events = [row for events in reading.slices for row in events.rows]
        weight = sum(len(row.payload) for row in events)
        longest = max((len(events.rows) for events in reading.slices), default=0)
        light = HEAVY * len(events) // (weight * partitions) if weight else self._batch
        self._count = max(1, min(self._batch, light, max(FIRST_BATCH, 2 * longest)))

    def _is_gap(self, cursor: Cursor) -> bool:
        if self._missing_upto.get(cursor.partition, 0) > cursor.position:
            return True
        self._missing_upto.pop(cursor.partition, None)
        return False

    async def _ask(self, cursors: Sequence[Cursor], patience: float, reading: Reading) -> Mapping[int, Sequence[Any]]:
        """The mark first, then the streams: what the mark covers was in the streams before it."""
        reading.mark = _mark(await self._client.get(MARK_KEY))
        if not cursors:
            return {}
        after = {stream_key(cursor.partition): f"{cursor.epoch}-{cursor.position}" for cursor in cursors}
        found = await read_streams(self._client, after, self._count, patience)
        return {cursor.partition: found.get(stream_key(cursor.partition).encode(), ()) for cursor in cursors}

    def _take(self, cursor: Cursor, entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]], reading: Reading) -> None:
        try:
            if entries:
                self._take_entries(cursor, [_message(*entry) for entry in entries], reading)
            else:
                self._notice_silence(cursor, reading.mark)
        except NotTheLog as reason:
            reading.halt(cursor, reason)

    def _take_entries(self, cursor: Cursor, messages: Sequence[Message], reading: Reading) -> None:
        rows, previous = [], cursor.position
        for message in messages:
            _require_same_epoch(cursor, message.epoch)
            if message.previous != previous:
                break
            rows.append(message.row)
            previous = message.row.position
        if rows:
            reading.slices.append(Slice(cursor.partition, cursor.position, cursor.epoch, rows))
        elif messages[0].previous > cursor.position:
            self._missing_upto[cursor.partition] = messages[0].previous
        else:
            raise NotTheLog(
                f"The stream continues partition {cursor.partition} after position {messages[0].previous}, "
                f"but we have handled position {cursor.position}: this is another log."
            )

    def _notice_silence(self, cursor: Cursor, mark: Mark | None) -> None:
        if mark is None:
            return
        if len(mark.last) <= cursor.partition:
            raise NotTheLog(f"The log has {len(mark.last)} partitions, but we have read partition {cursor.partition}.")
        published, handled = (mark.epoch, mark.last[cursor.partition]), (cursor.epoch, cursor.position)
        if published < handled:
            self._require_passing(cursor, mark)
            return
        self._behind_since.pop(cursor.partition, None)
        _require_same_epoch(cursor, mark.epoch)
        if published > handled:
            self._missing_upto[cursor.partition] = mark.last[cursor.partition]

    def _require_passing(self, cursor: Cursor, mark: Mark) -> None:
        """A mark may be an instant late. One that is rewritten and stays behind us comes from a restored log."""
        since = self._behind_since.setdefault(cursor.partition, mark.at)
        if mark.at - since > LATE_MARK:
            raise NotTheLog(
                f"We have handled position {cursor.position} of partition {cursor.partition}, but the log ends at "
                f"{mark.head} (epoch {mark.epoch}): the log was restored; run `twinlog epoch new` to go on from there."
            )

    async def _fill(self, cursor: Cursor, reading: Reading) -> None:
        """One stretch of the hole from the feed; the rest when we come again."""
        try:
            stretch = await self._first_stretch(cursor)
            reading.slices.append(Slice(cursor.partition, cursor.position, cursor.epoch, stretch.rows))
        except FeedUnavailable as unavailable:
            reading.feed_trouble = unavailable.detail
        except NotTheLog as reason:
            reading.halt(cursor, reason)

    async def _first_stretch(self, cursor: Cursor) -> Stretch:
        upto = self._missing_upto[cursor.partition]
        reading = self._feed.read(cursor.partition, cursor.position, upto, self._count, page=self._count)
        async with aclosing(reading) as stretches:
            async for stretch in stretches:
                _require_same_epoch(cursor, stretch.epoch)
                return stretch
        del self._missing_upto[cursor.partition]
        raise NotTheLog(f"The log has no event of partition {cursor.partition} up to {upto}, but Redis has one.")


def _mark(data: object) -> Mark | None:
    try:
        return Mark.decode(data) if isinstance(data, bytes) else None
    except (KeyError, TypeError, ValueError):
        return None


def _message(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Message:
    try:
        message = decode(fields)
    except (KeyError, ValueError):
        message = None
    if message is None or message.entry_id.encode() != entry_id:
        raise NotTheLog(f"The entry {entry_id.decode(errors='replace')} is not one that a relay has written.")
    return message


def _require_same_epoch(cursor: Cursor, epoch: int) -> None:
    if epoch != cursor.epoch:
        raise OtherEpoch(
            f"Redis or the feed speaks of epoch {epoch}, but the log was read in epoch {cursor.epoch}: "
            "the log was restored, or this is another one."
        )
