"""The log as the relay sees it, over the one connection whose session also holds the leader's lock."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import args_row

from command_service.relay.summing import Summing
from shared_kernel.events.envelope import StoredRow

LEADER_LOCK = 0x7477_7265_6C61_7901
"""Held by the session of the one relay that publishes ("twrelay" and a serial number)."""

CHANNEL = "appended"
"""Where the append function says that there is something new; only a wake-up, reading is the truth."""

# A relay whose host vanishes must not keep the lock until the server's own TCP patience (hours) ends, and one that is
# stopped in the middle of its work, though its host answers for it, not until somebody notices.
PATIENCE = (
    "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c statement_timeout=60s "
    "-c idle_session_timeout=1s"
)
BEAT_EVERY = 0.3
"""Seconds between signs of life while nothing else is asked, far below the time-out of an idle session."""

HEAVY = 16 * 1024 * 1024
"""Bytes after which no further row is read at once: an event may be of any size."""

_COLUMNS = sql.SQL("""
    position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
    recorded_at, slot, leaf_version, leaf_hash
""")
_ROWS = sql.SQL("""
    SELECT {columns}
      FROM (SELECT {columns}, sum(octet_length(payload) + octet_length(metadata))
                   OVER (ORDER BY position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
              FROM events WHERE position > %s ORDER BY position LIMIT %s) AS next
     WHERE before IS NULL OR before < %s ORDER BY position
""").format(columns=_COLUMNS)
_HEAD = sql.SQL("SELECT position FROM events ORDER BY position DESC LIMIT 1")
_LEAVES = sql.SQL("SELECT position, leaf_hash FROM events WHERE position = ANY(%s)")
_EPOCH = sql.SQL("SELECT epoch FROM installation")
_BEAT = sql.SQL("SELECT 1 AS beat")
_INSTALLATION = sql.SQL("SELECT epoch, partitions FROM installation")
_LASTS = sql.SQL("""
    SELECT slot %% %s AS partition, max(position) AS last
      FROM events WHERE position > %s AND position <= %s GROUP BY partition
""")
_RECORDED_AT = sql.SQL("SELECT recorded_at FROM events WHERE position = %s")
_PUBLICATION = sql.SQL("SELECT epoch, position, last FROM publication")
_SAVE = sql.SQL("""
    INSERT INTO publication AS known (epoch, position, last, saved_at) VALUES (%s, %s, %s, now())
    ON CONFLICT ON CONSTRAINT publication_only_row DO UPDATE
       SET epoch = excluded.epoch, position = excluded.position, last = excluded.last, saved_at = excluded.saved_at
     WHERE (known.epoch, known.position) <= (excluded.epoch, excluded.position)
""")


@dataclass(frozen=True, slots=True)
class Installation:
    """What was fixed when the log was installed, and its epoch."""

    epoch: int
    partitions: int


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything up to `position` was published in `epoch`; `last[p]` is the newest position of partition p there."""

    epoch: int
    position: int
    last: tuple[int, ...]


async def connect(url: str) -> AsyncConnection[Any]:
    """A connection of its own, never a pooled one: the lock and the notifications belong to the session."""
    return await AsyncConnection.connect(
        url, autocommit=True, options=PATIENCE, application_name="twinlog-relay", connect_timeout=10
    )


class Log:
    """Reads of the log and the relay's one row of state; every method raises psycopg.Error."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def try_lead(self) -> bool:
        """Whether this session is now the leader; it stays so until the connection ends."""
        return bool(await self._value(sql.SQL("SELECT pg_try_advisory_lock(%s)"), (LEADER_LOCK,)))

    async def listen(self) -> None:
        await self._connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))

    async def wait(self, seconds: float) -> None:
        """Until something was appended, or for `seconds`."""
        async with aclosing(self._connection.notifies(timeout=seconds, stop_after=1)) as notifications:
            async for _ in notifications:
                pass

    async def installation(self) -> Installation:
        cursor = await self._connection.execute(_INSTALLATION)
        epoch, partitions = await cursor.fetchone() or (0, 0)
        return Installation(epoch, partitions)

    async def epoch(self) -> int:
        """The epoch as it is now. What is read after it was raised finds the raised one here."""
        return int(await self._value(_EPOCH) or 0)

    async def keep_alive(self) -> None:
        """Give signs of life until cancelled: the lead is lost with the session, and the session by silence."""
        while True:
            await asyncio.sleep(BEAT_EVERY)
            await self._connection.execute(_BEAT)

    async def head(self) -> int:
        """The newest position; 0 for an empty log."""
        return int(await self._value(_HEAD) or 0)

    async def read(self, after: int, limit: int) -> Sequence[StoredRow]:
        """The next rows in position order: one, and more as long as they are not heavy together."""
        async with self._connection.cursor(binary=True, row_factory=args_row(StoredRow)) as cursor:
            await cursor.execute(_ROWS, (after, limit, HEAVY))
            return await cursor.fetchall()

    async def leaves(self, positions: Sequence[int]) -> dict[int, bytes]:
        """The stored leaf hashes of those positions that the log has."""
        cursor = await self._connection.execute(_LEAVES, (list(positions),), binary=True)
        return {position: leaf async for position, leaf in cursor}

    async def recorded_at(self, position: int) -> int | None:
        """When this position was recorded, in microseconds; None if the log ends before it."""
        recorded_at: int | None = await self._value(_RECORDED_AT, (position,))
        return recorded_at

    async def last_positions(self, upto: int, partitions: int, known: Publication | None) -> tuple[int, ...]:
        """The newest position of each partition at or below `upto` (0: none), from the log itself.

        A publication at or below `upto` saves reading what is before it.
        """
        usable = known is not None and known.position <= upto and len(known.last) == partitions
        last = list(known.last) if known and usable else [0] * partitions
        after = known.position if known and usable else 0
        cursor = await self._connection.execute(_LASTS, (partitions, after, upto))
        async for partition, position in cursor:
            last[partition] = position
        return tuple(last)

    def summing(self, partitions: int) -> Summing:
        """The keeping of the log's sums, over the same connection."""
        return Summing(self._connection, partitions)

    async def publication(self) -> Publication | None:
        cursor = await self._connection.execute(_PUBLICATION)
        row = await cursor.fetchone()
        return Publication(row[0], row[1], tuple(row[2])) if row else None

    async def save(self, publication: Publication) -> None:
        """Remember how far we are; a former leader that is late changes nothing."""
        await self._connection.execute(_SAVE, (publication.epoch, publication.position, list(publication.last)))

    async def _value(self, query: sql.SQL, params: Sequence[Any] = ()) -> Any:
        cursor = await self._connection.execute(query, params)
        row = await cursor.fetchone()
        return row[0] if row else None
