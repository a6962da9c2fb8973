"""Four ways to give a log one order that a reader can follow: each appends, and each has its own reader."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Any, LiteralString, Self
from uuid import UUID

import psycopg
import uuid_utils
from psycopg import sql

from command_service.infrastructure import schema
from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import Append, NewEvent
from tests.benchmarks.contestants import METADATA, PAYLOAD, TOPIC

TABLE = """
CREATE TABLE log (
    position bigserial,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    payload bytea NOT NULL,
    metadata bytea NOT NULL,
    event_id uuid NOT NULL,
    CONSTRAINT log_position PRIMARY KEY (position),
    CONSTRAINT log_stream_version UNIQUE (stream, version),
    CONSTRAINT log_event_id UNIQUE (event_id)
)
"""

FUNCTION = """
CREATE FUNCTION append(
    stream text, version bigint, topic text, payload bytea, metadata bytea, event_id uuid
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given bigint;
BEGIN
    {lock};
    INSERT INTO log (stream, version, topic, payload, metadata, event_id)
    VALUES (append.stream, append.version, append.topic, append.payload, append.metadata, append.event_id)
    RETURNING position INTO given;
    RETURN given;
END $$
"""

APPEND = "SELECT append(%s, %s, %s, %s, %s, %s) AS position"

BY_POSITION = "SELECT position, event_id FROM log WHERE position > %s ORDER BY position LIMIT 1000"

BELOW_THE_HORIZON = """
SELECT xid::text AS transaction, position, event_id FROM log
WHERE xid < pg_snapshot_xmin(pg_current_snapshot()) AND (xid, position) > (%s::xid8, %s)
ORDER BY log.xid, position LIMIT 1000
"""


class Order(ABC):
    """A log in a database of its own, for a number of writers."""

    def __init__(self, url: str, writers: int) -> None:
        self.url, self.writers = url, writers
        self._stack = AsyncExitStack()

    @classmethod
    @abstractmethod
    def install(cls, url: str) -> None:
        """Make the tables; once for a database."""

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def append(self, writer: int) -> UUID:
        """One event on a new stream; answers its id."""

    @abstractmethod
    def read(self, connection: psycopg.Connection, after: tuple[Any, ...]) -> tuple[list[UUID], tuple[Any, ...]]:
        """What has come since, and the new bookmark; the first is ()."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


class OneByOne(Order):
    """A connection for each writer, a transaction for each append, one call of a function."""

    lock: LiteralString

    @classmethod
    def install(cls, url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(TABLE)
            connection.execute(sql.SQL(FUNCTION).format(lock=sql.SQL(cls.lock)))

    async def open(self) -> None:
        self._connections = [
            await self._stack.enter_async_context(await psycopg.AsyncConnection.connect(self.url, autocommit=True))
            for _ in range(self.writers)
        ]

    async def append(self, writer: int) -> UUID:
        event_id = UUID(int=uuid_utils.uuid7().int)
        parameters = (f"resources-{event_id}", 1, TOPIC, PAYLOAD, METADATA, event_id)
        await self._connections[writer].execute(APPEND, parameters, prepare=True)
        return event_id

    def read(self, connection: psycopg.Connection, after: tuple[Any, ...]) -> tuple[list[UUID], tuple[Any, ...]]:
        rows = connection.execute(BY_POSITION, after or (0,), prepare=True).fetchall()
        return [row[1] for row in rows], (rows[-1][0],) if rows else after


class TableLock(OneByOne):
    """What the `eventsourcing` library does by default, in one round trip."""

    lock = "LOCK TABLE log IN EXCLUSIVE MODE"


class AdvisoryLock(OneByOne):
    """The same with a lighter lock."""

    lock = "PERFORM pg_advisory_xact_lock(1)"


class SnapshotHorizon(OneByOne):
    """Nobody waits to write; readers stop before the oldest transaction that is still under way in the whole server."""

    lock = "NULL"

    @classmethod
    def install(cls, url: str) -> None:
        super().install(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE INDEX log_xid_position ON log (xid, position)")

    def read(self, connection: psycopg.Connection, after: tuple[Any, ...]) -> tuple[list[UUID], tuple[Any, ...]]:
        rows = connection.execute(BELOW_THE_HORIZON, after or ("0", 0), prepare=True).fetchall()
        return [row[2] for row in rows], rows[-1][:2] if rows else after


class GroupCommit(Order):
    """Ours: who arrives while a batch is in flight shares the next one. Claims, leaf hashes and all."""

    @classmethod
    def install(cls, url: str) -> None:
        schema.upgrade(url, None)

    async def open(self) -> None:
        self._store = await self._stack.enter_async_context(PostgresEventStore(self.url, topics={TOPIC}))

    async def append(self, writer: int) -> UUID:
        event_id = UUID(int=uuid_utils.uuid7().int)
        event = NewEvent(event_id, TOPIC, PAYLOAD, METADATA)
        await self._store.append(Append("default", f"resources-{event_id}", 0, (event,)))
        return event_id

    def read(self, connection: psycopg.Connection, after: tuple[Any, ...]) -> tuple[list[UUID], tuple[Any, ...]]:
        query = "SELECT position, event_id FROM events WHERE position > %s ORDER BY position LIMIT 1000"
        rows = connection.execute(query, after or (0,), prepare=True).fetchall()
        return [row[1] for row in rows], (rows[-1][0],) if rows else after


ORDERS: dict[str, type[Order]] = {
    "table lock": TableLock,
    "advisory lock": AdvisoryLock,
    "snapshot horizon": SnapshotHorizon,
    "group commit": GroupCommit,
}
