"""The event store of the command path: the append port in front of group commit, and the reads."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from command_service.infrastructure import schema as log_schema
from command_service.infrastructure.event_store import batch
from command_service.infrastructure.event_store.appender import Appender
from command_service.infrastructure.event_store.connections import feeding_pool, reading_pool
from command_service.infrastructure.event_store.feeding import LANES, FeedLines
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Appended,
    ArchivedStreamRefusesAppends,
    Claim,
    ClaimAction,
    IdempotencyRecord,
    KeptState,
    MalformedAppend,
    NewEvent,
    PayloadTooLarge,
    StoreUnavailable,
    UnregisteredTopic,
)
from command_service.infrastructure.event_store.reads import Installation, PartitionPage, Reads
from shared_kernel.events.archiving import StreamArchived
from shared_kernel.events.envelope import StoredRow
from shared_kernel.messaging.feed import LogFacts

MAX_PAYLOAD = 1_048_576
MAX_METADATA = 16_384
MAX_NAME = 512
"""Characters of a stream, topic, claim or actor: together they must fit an index entry (2,704 bytes)."""

_TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class PostgresEventStore:
    """Implements `port.EventStore`; open it before use, close it when the process ends.

    `topics` are the topics that may be appended, `capacity` how many appends may wait before the next is refused with
    StoreBusy (earlier, when their payloads are large), and `readers` how many reads may go on at once. `patience` says
    for how many seconds an append is begun, or begun again, before it is StoreUnavailable: one under way by then is
    waited for, because only its answer tells what became of it, for LAST_WORD seconds (see appender) at most. A read
    waits so long for a connection, and then as long as a statement may take.
    """

    def __init__(
        self,
        url: str,
        *,
        topics: Collection[str],
        max_payload: int = MAX_PAYLOAD,
        schema: str = "public",
        capacity: int = 10_000,
        patience: float = 10.0,
        readers: int = 4,
    ) -> None:
        self._topics = frozenset(topics)
        self._max_payload = max_payload
        self._schema = schema
        self._pool: AsyncConnectionPool[AsyncConnection[Any]] = reading_pool(url, readers, patience)
        self._feed_pool = feeding_pool(url, LANES, patience)
        self._reads = Reads(self._pool, schema)
        self._lines = FeedLines(self._feed_pool, schema)
        self._appender = Appender(url, batch.call(schema), capacity=capacity, patience=patience)

    async def open(self, wait: float = 10.0) -> None:
        """Raises StoreUnavailable when the database is not reached in `wait` seconds, SchemaMismatch if it is old."""
        try:
            await self._pool.open(wait=True, timeout=wait)
            async with self._pool.connection() as connection:
                await log_schema.check(connection, schema=self._schema)
            await self._feed_pool.open()
        except BaseException as error:
            await self._pool.close()
            if isinstance(error, psycopg.Error):  # the pool's time-out is one
                raise StoreUnavailable("The event store's database cannot be reached.") from error
            raise
        self._appender.start()

    async def close(self) -> None:
        """Write what waits, then let go of the database."""
        await self._appender.stop()
        await self._feed_pool.close()
        await self._pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """How many appends wait for their batch."""
        return len(self._appender)

    @property
    def clock_behind(self) -> int:
        """By how many microseconds the database's clock was behind the newest event at the last append."""
        return self._appender.clock_behind

    async def append(self, append: Append) -> Appended:
        try:
            return await self._appender.append(self._checked(append))
        except AppendConflict:
            if await self._archived(append.tenant, append.stream):
                raise ArchivedStreamRefusesAppends from None
            raise

    async def _archived(self, tenant: str, stream: str) -> bool:
        """The append function only knows that an archived stream is at no version that anybody expects."""
        newest = await self._reads.stream_backwards(tenant, stream, None, 1)
        return bool(newest) and newest[0].topic == StreamArchived.TOPIC

    async def read_stream(
        self, tenant: str, stream: str, after_version: int = 0, limit: int | None = None
    ) -> Sequence[StoredRow]:
        return await self._reads.stream(tenant, stream, after_version, limit)

    async def read_stream_backwards(
        self, tenant: str, stream: str, before_version: int | None = None, limit: int | None = None
    ) -> Sequence[StoredRow]:
        """The newest rows of one stream below a version, newest first: its tail, when no version is given."""
        return await self._reads.stream_backwards(tenant, stream, before_version, limit)

    async def read_stream_from_snapshot(self, tenant: str, stream: str) -> Sequence[StoredRow]:
        return await self._reads.stream_from_snapshot(tenant, stream)

    async def read_snapshot(self, tenant: str, stream: str, version: int) -> KeptState | None:
        return await self._reads.snapshot(tenant, stream, version)

    async def keep_snapshot(self, tenant: str, stream: str, kept: KeptState) -> None:
        await self._reads.keep_snapshot(tenant, stream, kept)

    def read_log(self, after: int, limit: int | None = None) -> AsyncIterator[Sequence[StoredRow]]:
        return self._reads.log(after, limit)

    def read_log_backwards(
        self, before: int | None = None, limit: int | None = None
    ) -> AsyncIterator[Sequence[StoredRow]]:
        """Batches of the log below a position (its end, when none is given), newest first, in constant memory."""
        return self._reads.log_backwards(before, limit)

    async def last_before(self, recorded_at: int) -> int:
        """The newest position that was recorded before a time (microseconds); 0 when nothing was."""
        return await self._reads.before_time(recorded_at)

    async def feed(
        self, after: int, limit: int, *, partition: int | None = None, category: str | None = None
    ) -> tuple[LogFacts, AsyncGenerator[bytes]]:
        """Where the log stands, and pieces of the feed's lines that reach at least as far, or up to the limit.

        They hold a connection until they are read to their end or closed.
        """
        facts = await self._reads.facts()
        if category is not None:
            return facts, await self._lines.of_category(after, limit, category)
        if partition is not None:
            return facts, await self._lines.of_partition(after, limit, partition, facts.partitions)
        return facts, await self._lines.of_all(after, limit)

    async def read_category(self, after: int, category: str, limit: int) -> Sequence[StoredRow]:
        """Up to `limit` rows of the streams `<category>-...` after a position."""
        return await self._reads.category(after, category, limit)

    async def sums(self, upto: int) -> tuple[int, Sequence[int]]:
        """The newest position at or before `upto` with kept sums, and those sums by partition; (0, ()) without any."""
        return await self._reads.sums(upto)

    async def read_partition(self, after: int, partition: int, limit: int) -> PartitionPage:
        """Up to `limit` rows of one partition, and up to where that is everything."""
        return await self._reads.partition(after, partition, limit)

    async def find_idempotent(self, tenant: str, actor: str, key: bytes) -> IdempotencyRecord | None:
        return await self._reads.answer(tenant, actor, key)

    async def claim_holder(self, tenant: str, kind: str, key: str) -> str | None:
        return await self._reads.claim(tenant, kind, key)

    async def head(self) -> tuple[int, int]:
        return await self._reads.head()

    async def installation(self) -> Installation:
        """The installation's id, epoch and number of partitions."""
        return await self._reads.installation()

    async def notify(self, channel: str) -> None:
        """Wake whoever listens on a channel of the database."""
        await self._reads.notify(channel)

    async def forget_answers(self, at_most: int = 10_000) -> int:
        """Delete up to `at_most` idempotency records older than a day; answers how many."""
        return await self._reads.forget_answers(at_most)

    def _checked(self, append: Append) -> batch.Item:
        """Raises UnregisteredTopic, PayloadTooLarge or MalformedAppend."""
        if not _TENANT.fullmatch(append.tenant):
            raise MalformedAppend(f"{append.tenant!r} is not the name of a tenant.")
        if append.expected_version < 0:
            raise MalformedAppend("The expected version of a stream is never negative.")
        for event in append.events:
            self._check_event(event)
        if not all(map(_is_name, _names(append))):
            raise MalformedAppend("A name must have 1 to 512 characters, none of them NUL.")
        return item_of(append)

    def _check_event(self, event: NewEvent) -> None:
        if event.topic not in self._topics:
            raise UnregisteredTopic(f"The topic {event.topic!r} is not in the registry.")
        if len(event.payload) > self._max_payload or len(event.metadata) > MAX_METADATA:
            raise PayloadTooLarge


def _is_name(name: str) -> bool:
    return 1 <= len(name) <= MAX_NAME and "\x00" not in name


def item_of(append: Append) -> batch.Item:
    """The append as the SQL function takes it; versions continue the stream."""
    rows = [
        batch.Row(
            append.stream,
            version,
            event.topic,
            event.payload_format,
            event.payload,
            event.metadata,
            event.event_id.bytes,
        )
        for version, event in enumerate(append.events, append.expected_version + 1)
    ]
    return batch.Item(
        append.tenant,
        append.stream,
        append.expected_version,
        rows,
        size=sum([len(event.payload) + len(event.metadata) for event in append.events]),
        alone=_alone(append, rows),
        shared=frozenset(_claim_key(append, c) for c in append.claims if c.action is ClaimAction.REQUIRE),
        claims=append.claims,
        idempotency=append.idempotency,
        subjects=append.subjects,
    )


def _alone(append: Append, rows: Sequence[batch.Row]) -> frozenset[batch.Key]:
    keys: set[batch.Key] = {(append.tenant, append.stream), *(row.event_id for row in rows)}
    if append.idempotency is not None:
        keys.add(append.idempotency.key)
    keys.update(_claim_key(append, claim) for claim in append.claims if claim.action is not ClaimAction.REQUIRE)
    return frozenset(keys)


def _claim_key(append: Append, claim: Claim) -> batch.Key:
    return (append.tenant, claim.kind, claim.key)


def _names(append: Append) -> list[str]:
    names = [append.stream, *append.subjects]
    for claim in append.claims:
        names += (claim.kind, claim.key)
    if append.idempotency is not None:
        names.append(append.idempotency.actor)
    return names
