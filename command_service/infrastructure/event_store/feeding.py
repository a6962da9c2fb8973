"""The log as lines of the feed, written by the database itself and passed on as they come.

The lines are those of `shared_kernel.messaging.feed.encode`, byte by byte; made by SQL and read with COPY they cost
this process next to nothing.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection, AsyncCopy, sql
from psycopg.abc import Buffer
from psycopg.pq.abc import PGconn
from psycopg_pool import AsyncConnectionPool, PoolClosed

from command_service.infrastructure.event_store.port import StoreUnavailable
from command_service.infrastructure.event_store.reads import UNREADABLE, lost

PIECE = 65_536
"""Bytes that are passed on at once, at least."""

LANES = 4
"""Answers that may be on their way at the same time. Each holds a connection for as long as its reader takes, so these
are not the ones that commands read with.
"""

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""Before the first row, with flags that are not set."""

_ROW_HEAD = 6
"""Bytes before the only column: how many columns there are and how long it is. The last row is shorter than that."""

_COPY = r"""
COPY (
    SELECT format('{{"position":%s,"tenant":%s,"tenant_seq":%s,"stream":%s,"version":%s,"topic":%s,'
        '"payload_format":%s,"payload":"%s","metadata":"%s","event_id":"%s","recorded_at":%s,"slot":%s,'
        '"leaf_version":%s,"leaf_hash":"%s"}}' || E'\n',
        position, to_json(tenant), tenant_seq, to_json(stream), version, to_json(topic), payload_format,
        replace(encode(payload, 'base64'), E'\n', ''), replace(encode(metadata, 'base64'), E'\n', ''), event_id,
        recorded_at, slot, leaf_version, encode(leaf_hash, 'hex')) AS line
    FROM {schema}.events WHERE position > {after} {condition} ORDER BY position LIMIT {limit}
) TO STDOUT (FORMAT binary)
"""

_OF_PARTITION = "AND slot % {partitions} = {partition}"
_OF_CATEGORY = "AND starts_with(stream, {category})"


class FeedLines:
    """Reads lines over a pool of its own. Every method raises StoreUnavailable when the database cannot be reached.

    What it answers are pieces; together they are the lines of at most `limit` events after a position. Whoever does not
    read on closes them: until then they hold a connection.
    """

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]], schema: str) -> None:
        self._pool = pool
        self._schema = sql.Identifier(schema)

    async def of_all(self, after: int, limit: int) -> AsyncGenerator[bytes]:
        return await self._begun(self._statement("", after, limit))

    async def of_partition(self, after: int, limit: int, partition: int, partitions: int) -> AsyncGenerator[bytes]:
        condition = self._statement(_OF_PARTITION, after, limit, partition=partition, partitions=partitions)
        return await self._begun(condition)

    async def of_category(self, after: int, limit: int, category: str) -> AsyncGenerator[bytes]:
        return await self._begun(self._statement(_OF_CATEGORY, after, limit, category=f"{category}-"))

    def _statement(self, condition: LiteralString, after: int, limit: int, **values: Any) -> sql.Composed:
        wanted = sql.SQL(condition).format(**{name: sql.Literal(value) for name, value in values.items()})
        bounds = {"after": sql.Literal(after), "limit": sql.Literal(limit)}
        return sql.SQL(_COPY).format(schema=self._schema, condition=wanted, **bounds)

    async def _begun(self, statement: sql.Composed) -> AsyncGenerator[bytes]:
        """The first piece is there before anybody says that all is well. A dead connection of the pool does no harm."""
        for attempt in range(self._pool.max_size + 1):
            pieces = self._pieces(statement)
            try:
                first = await anext(pieces, b"")
            except (psycopg.OperationalError, PoolClosed) as error:
                if attempt == self._pool.max_size or not lost(error):
                    raise StoreUnavailable(UNREADABLE) from error
            else:
                return _resumed(first, pieces)
        raise StoreUnavailable(UNREADABLE)

    async def _pieces(self, statement: sql.Composed) -> AsyncGenerator[bytes]:
        async with (
            self._pool.connection() as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            async for piece in _joined(connection.pgconn, copy):
                yield piece


async def _resumed(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece


async def _joined(pgconn: PGconn, copy: AsyncCopy) -> AsyncIterator[bytes]:
    """COPY answers row by row. To await each costs more than all the rest, so those that are here already are taken."""
    rows: list[Buffer] = []
    size, head = 0, len(_SIGNATURE) + _ROW_HEAD
    while row := await copy.read():
        if len(row) > head:
            rows.append(row[head:])
            size += len(row) + _take(pgconn, rows)
        head = _ROW_HEAD
        if size >= PIECE:
            yield b"".join(rows)
            rows, size = [], 0
    if rows:
        yield b"".join(rows)


def _take(pgconn: PGconn, rows: list[Buffer]) -> int:
    """Add rows until a piece is full, the next is not here yet, or there is none; answers how many bytes they have."""
    size = 0
    while size < PIECE:
        length, row = pgconn.get_copy_data(1)
        if length <= _ROW_HEAD:
            break
        rows.append(row[_ROW_HEAD:])
        size += length
    return size
