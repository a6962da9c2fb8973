"""Reading the log and what stands beside it."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import AsyncRowFactory, args_row, tuple_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from command_service.infrastructure.event_store.port import IdempotencyRecord, KeptState, StoreUnavailable
from command_service.infrastructure.event_store.together import Together
from shared_kernel.events.envelope import StoredRow
from shared_kernel.messaging.feed import LogFacts

BATCH = 1_000
_END = 2**63 - 1

UNREADABLE = "The event store cannot be read just now; try again in a moment."

R = TypeVar("R")

COLUMNS = sql.SQL(
    """position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
    recorded_at, slot, leaf_version, leaf_hash"""
)

_STREAM = """
SELECT {columns} FROM {schema}.events WHERE tenant = %s AND stream = %s AND version > %s ORDER BY version LIMIT %s
"""

_STREAM_BACKWARDS = """
SELECT {columns} FROM {schema}.events WHERE tenant = %s AND stream = %s AND version < %s ORDER BY version DESC LIMIT %s
"""

_SNAPSHOT = """
SELECT version, topic AS shape, state FROM {schema}.snapshots
WHERE tenant = %s AND purpose = 'state' AND stream = %s AND version = %s
"""

_KEEP_SNAPSHOT = "SELECT {schema}.keep_snapshot_v1(%s, 'state', %s, %s, %s, %s) AS kept"

_LOG = "SELECT {columns} FROM {schema}.events WHERE position > %s ORDER BY position LIMIT %s"

_LOG_BACKWARDS = "SELECT {columns} FROM {schema}.events WHERE position < %s ORDER BY position DESC LIMIT %s"

# Positions have no gaps and times never fall, so the primary key is an index of times too: halve until one is left.
_BEFORE_TIME = """
WITH RECURSIVE search (low, high) AS (
    SELECT 0::bigint, COALESCE((SELECT e.position FROM {schema}.events e ORDER BY e.position DESC LIMIT 1), 0)
    UNION ALL
    SELECT CASE WHEN e.recorded_at < %s THEN e.position ELSE s.low END,
        CASE WHEN e.recorded_at < %s THEN s.high ELSE e.position - 1 END
    FROM search s JOIN {schema}.events e ON e.position = (s.low + s.high + 1) / 2
    WHERE s.low < s.high
)
SELECT s.low FROM search s WHERE s.low = s.high
"""

_CATEGORY = """
SELECT {columns} FROM {schema}.events
WHERE position > %s AND position <= %s AND starts_with(stream, %s) ORDER BY position LIMIT %s
"""

_SUMS = """
SELECT position, sums FROM {schema}.log_sums WHERE position <= %s ORDER BY position DESC LIMIT 1
"""

_PARTITION = """
SELECT {columns} FROM {schema}.events
WHERE position > %s AND position <= %s AND slot %% %s = %s ORDER BY position LIMIT %s
"""

_LAST_OF_PARTITION = """
SELECT position FROM {schema}.events WHERE position <= %s AND slot %% %s = %s ORDER BY position DESC LIMIT 1
"""

_FACTS = """
SELECT i.epoch, COALESCE((SELECT e.position FROM {schema}.events e ORDER BY e.position DESC LIMIT 1), 0) AS head,
    i.partitions
FROM {schema}.installation i
"""

_INSTALLATION = "SELECT installation_id, epoch, partitions FROM {schema}.installation"

_CLAIM = "SELECT stream FROM {schema}.claims WHERE tenant = %s AND kind = %s AND key = %s"

_NOTIFY = "SELECT pg_notify(%s, '') AS sent"

_FORGET = """
SELECT {schema}.forget_answers_v1((EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint - 86400000000, %s)
    AS forgotten
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What was fixed when the log was installed, and its epoch, which a restore raises."""

    installation_id: UUID
    epoch: int
    partitions: int


@dataclass(frozen=True, slots=True)
class PartitionPage:
    """Rows of one partition after a position, in position order.

    `previous` is the newest position of the partition at or before that position (0: none), `complete_to` the position
    up to which this page and the pages before it hold everything the partition has.
    """

    rows: Sequence[StoredRow]
    previous: int
    complete_to: int


class Reads:
    """Every method raises StoreUnavailable when the database cannot be reached."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], schema: str) -> None:
        self._pool = pool
        self._schema = sql.Identifier(schema)
        self._statements: dict[LiteralString, sql.Composed] = {}
        self._together = Together(self._fetch)

    async def stream(self, tenant: str, stream: str, after_version: int, limit: int | None) -> list[StoredRow]:
        if limit is None:
            return await self._together.stream(tenant, stream, after_version)
        return await self._fetch(StoredRow, _STREAM, (tenant, stream, after_version, limit))

    async def stream_from_snapshot(self, tenant: str, stream: str) -> list[StoredRow]:
        return await self._together.stream_from_snapshot(tenant, stream)

    async def snapshot(self, tenant: str, stream: str, version: int) -> KeptState | None:
        found = await self._fetch(KeptState, _SNAPSHOT, (tenant, stream, version))
        return found[0] if found else None

    async def keep_snapshot(self, tenant: str, stream: str, kept: KeptState) -> None:
        await self._first(_KEEP_SNAPSHOT, (tenant, stream, kept.version, kept.shape, kept.state))

    async def stream_backwards(
        self, tenant: str, stream: str, before_version: int | None, limit: int | None
    ) -> list[StoredRow]:
        bound = _END if before_version is None else before_version
        return await self._fetch(StoredRow, _STREAM_BACKWARDS, (tenant, stream, bound, limit))

    def log(self, after: int, limit: int | None) -> AsyncIterator[list[StoredRow]]:
        return self._paged(_LOG, after, limit)

    def log_backwards(self, before: int | None, limit: int | None) -> AsyncIterator[list[StoredRow]]:
        return self._paged(_LOG_BACKWARDS, _END if before is None else before, limit)

    async def before_time(self, recorded_at: int) -> int:
        row = await self._first(_BEFORE_TIME, (recorded_at, recorded_at))
        return int(row[0]) if row else 0

    async def category(self, after: int, category: str, limit: int) -> list[StoredRow]:
        """Rows of the streams of one category; a look at everything after the position, so ask from where you are."""
        _, head = await self.head()
        return await self._fetch(StoredRow, _CATEGORY, (after, head, f"{category}-", limit))

    async def sums(self, upto: int) -> tuple[int, Sequence[int]]:
        row = await self._first(_SUMS, (upto,))
        return (row[0], [int(each) for each in row[1]]) if row else (0, ())

    async def partition(self, after: int, partition: int, limit: int) -> PartitionPage:
        partitions = (await self.installation()).partitions
        _, head = await self.head()  # before the rows: what is appended in between belongs to the next page
        rows = await self._fetch(StoredRow, _PARTITION, (after, head, partitions, partition, limit))
        previous = await self._first(_LAST_OF_PARTITION, (after, partitions, partition))
        complete = rows[-1].position if len(rows) == limit else max(after, head)
        return PartitionPage(rows, previous[0] if previous else 0, complete)

    async def facts(self) -> LogFacts:
        found = await self._fetch(LogFacts, _FACTS, ())
        if not found:
            raise StoreUnavailable("The log is not installed yet.")
        return found[0]

    async def head(self) -> tuple[int, int]:
        facts = await self.facts()
        return facts.epoch, facts.head

    async def installation(self) -> Installation:
        found = await self._fetch(Installation, _INSTALLATION, ())
        if not found:
            raise StoreUnavailable("The log is not installed yet.")
        return found[0]

    async def answer(self, tenant: str, actor: str, key: bytes) -> IdempotencyRecord | None:
        return await self._together.answer(tenant, actor, key)

    async def claim(self, tenant: str, kind: str, key: str) -> str | None:
        row = await self._first(_CLAIM, (tenant, kind, key))
        return row[0] if row else None

    async def notify(self, channel: str) -> None:
        await self._first(_NOTIFY, (channel,))

    async def forget_answers(self, at_most: int) -> int:
        row = await self._first(_FORGET, (at_most,))
        return int(row[0]) if row else 0

    async def _paged(self, query: LiteralString, start: int, limit: int | None) -> AsyncIterator[list[StoredRow]]:
        """At most `limit` rows in all; each batch is a query of its own, so that no snapshot is held between them."""
        left = limit
        while left is None or left > 0:
            rows = await self._fetch(StoredRow, query, (start, BATCH if left is None else min(BATCH, left)))
            if not rows:
                return
            yield rows
            start = rows[-1].position
            left = None if left is None else left - len(rows)

    async def _fetch(self, shape: Callable[..., R], query: LiteralString, parameters: Sequence[Any]) -> list[R]:
        return await self._run(self._statement(query), parameters, args_row(shape))

    async def _ask(self, shape: type[R], statement: sql.Composed) -> list[R]:
        """A statement that is made for the occasion."""
        return await self._run(statement, (), args_row(shape), prepare=False)

    async def _first(self, query: LiteralString, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        rows = await self._run(self._statement(query), parameters, tuple_row)
        return rows[0] if rows else None

    async def _run(
        self, statement: sql.Composed, parameters: Sequence[Any], row: AsyncRowFactory[R], *, prepare: bool = True
    ) -> list[R]:
        """A restarted server leaves dead connections in the pool; a read does no harm: try again past all of them."""
        for attempt in range(self._pool.max_size + 1):
            try:
                async with (
                    self._pool.connection() as connection,
                    connection.cursor(binary=True, row_factory=row) as cursor,
                ):
                    await cursor.execute(statement, parameters, prepare=prepare)
                    return await cursor.fetchall()
            except (psycopg.OperationalError, PoolClosed) as error:
                if attempt == self._pool.max_size or not lost(error):
                    raise StoreUnavailable(UNREADABLE) from error
        raise StoreUnavailable(UNREADABLE)

    def _statement(self, query: LiteralString) -> sql.Composed:
        if query not in self._statements:
            self._statements[query] = sql.SQL(query).format(schema=self._schema, columns=COLUMNS)
        return self._statements[query]


def lost(error: Exception) -> bool:
    """Whether the connection went away, rather than the server refusing or the pool having none to give."""
    state = error.sqlstate or "" if isinstance(error, psycopg.OperationalError) else ""
    return not isinstance(error, (PoolTimeout, PoolClosed)) and (not state or state.startswith("57P"))
