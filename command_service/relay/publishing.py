"""One stretch of publishing, from an agreement with Redis until the first trouble."""

import time
from collections.abc import Sequence

from command_service.relay.agreement import Resumption
from command_service.relay.log import Log, Publication
from command_service.relay.publisher import Publisher
from command_service.relay.refusals import LogDamaged
from shared_kernel.clock import Clock, microseconds
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.leaf import LEAF_VERSION, leaf_of
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.message import Message
from shared_kernel.messaging.partition import partition_of

MARK_EVERY = 0.25
SAVE_EVERY = 1.0
TRIM_EVERY = 5.0
LARGEST_ENTRY = 8 * 1024 * 1024
"""Bytes of payload from which on an event is not put on a stream: readers miss it there, and read it from the feed."""

BLOCKS = 3
"""Thousands of positions at most whose sums are made up in one go, so that publishing hardly waits."""


class Publishing:
    """Keeps `done`: everything up to there is in Redis. Raises redis.RedisError, psycopg.Error, PublicationRefused."""

    def __init__(self, log: Log, publisher: Publisher, clock: Clock, resumption: Resumption) -> None:
        self.done = resumption.start
        self._held = resumption.held
        self._log = log
        self._publisher = publisher
        self._clock = clock
        self._summing = log.summing(len(resumption.start.last))
        self._marked_at = 0.0
        self._saved_at = 0.0
        self._trimmed_at = time.monotonic()
        self._saved: Publication | None = None

    async def publish(self, rows: Sequence[StoredRow]) -> int:
        """Publish what is sound of these rows, which follow `done`, and the mark; how many they were."""
        sound = _sound(rows, self.done.position)
        messages, done = self._chain(sound)
        await self._publisher.publish(messages, self._mark(done))
        await self._publisher.tell_operators_wishes(messages)
        self.done = done
        self._marked_at = time.monotonic()
        return len(sound)

    async def upkeep(self) -> None:
        """Rewrite the mark and our row in the database when they are due."""
        now = time.monotonic()
        if now - self._marked_at >= MARK_EVERY:
            await self._publisher.announce(self._mark(self.done))
            self._marked_at = now
            await self._summing.advance(self.done.position, BLOCKS)
        if now - self._saved_at >= SAVE_EVERY:
            await self.save()
        if now - self._trimmed_at >= TRIM_EVERY:
            self._trimmed_at = now
            await self._publisher.trim(self.done.epoch, len(self.done.last))

    async def save(self) -> None:
        self._saved_at = time.monotonic()
        if self.done != self._saved:
            await self._log.save(self.done)
            self._saved = self.done

    def _chain(self, rows: Sequence[StoredRow]) -> tuple[list[Message], Publication]:
        """Each row with its predecessor in its partition.

        Rows that the stream already holds, or that are too large for it, only move the chain.
        """
        epoch, last, messages = self.done.epoch, list(self.done.last), []
        for row in rows:
            partition = partition_of(row.slot, len(last))
            if row.position > self._held.get(partition, 0) and len(row.payload) < LARGEST_ENTRY:
                messages.append(Message(epoch, last[partition], row))
            last[partition] = row.position
        return messages, Publication(epoch, rows[-1].position, tuple(last))

    def _mark(self, done: Publication) -> Mark:
        return Mark(done.epoch, done.position, done.last, microseconds(self._clock.now()))


def _sound(rows: Sequence[StoredRow], after: int) -> Sequence[StoredRow]:
    """The longest sound beginning of the rows. Raises LogDamaged when there is none."""
    for index, row in enumerate(rows):
        if row.position != after + 1 + index:
            return _or_refuse(rows[:index], f"Position {after + 1 + index} is missing from the log.")
        if row.leaf_version != LEAF_VERSION or leaf_of(row) != row.leaf_hash:
            return _or_refuse(rows[:index], f"The event at position {row.position} is not as it was written.")
    return rows


def _or_refuse(sound: Sequence[StoredRow], reason: str) -> Sequence[StoredRow]:
    if not sound:
        raise LogDamaged(reason)
    return sound
