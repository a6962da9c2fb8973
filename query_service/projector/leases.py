"""Who works on which partition: advisory locks, so that processes share the work without knowing of each other.

Every process holds one membership lock and as many partition locks as is its fair share. Locks end with the session,
so the partitions of a process that dies are free at once, and those of one that is frozen as soon as it has given no
sign of life for a while. They only avoid wasted work: safety is the checkpoint.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.pq import TransactionStatus

from shared_kernel.messaging.backoff import pause

MEMBERSHIP = 0x7477_0001
PARTITION = 0x7477_0002
CATCHING_UP = 0x7477_0003
OPERATING = 0x7477_0004
"""First halves of advisory lock keys ("tw" and a serial number); the second half is the number in question."""

MOST_MEMBERS = 256

# A process whose host vanishes must not keep its locks until the server's own TCP patience (hours) ends, and one that
# is frozen, though its host answers for it, not until somebody notices. Code of a projection that does not come back is
# interrupted long before: who waits for that is not frozen.
SILENCE = "10s"
PATIENCE = (
    "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c statement_timeout=10s "
    f"-c idle_session_timeout={SILENCE}"
)
BEAT_EVERY = 1.0
"""Seconds between signs of life, far below the time-out of an idle session."""

_LIMIT = sql.SQL("SELECT pg_catalog.set_config('idle_session_timeout', %s, false)")
_FREE = sql.SQL("RESET idle_session_timeout")
_BEAT = sql.SQL("SELECT 1 AS beat")
_TRY = sql.SQL("SELECT pg_try_advisory_lock(%s, %s)")
_RELEASE = sql.SQL("SELECT pg_advisory_unlock(%s, %s)")
_TAKEN = sql.SQL("""
    SELECT l.objid::bigint FROM pg_catalog.pg_locks AS l
      JOIN pg_catalog.pg_database AS d ON d.oid = l.database AND d.datname = current_database()
     WHERE l.locktype = 'advisory' AND l.classid = %s::bigint::oid AND l.objsubid = 2 AND l.granted
""")


@asynccontextmanager
async def session(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection of its own, never a pooled one: locks belong to the session. It gives signs of life by itself.

    Raises psycopg.Error.
    """
    async with (
        await AsyncConnection.connect(
            url, autocommit=True, options=PATIENCE, application_name="twinlog-projector-leases", connect_timeout=10
        ) as connection,
        _beating(connection),
    ):
        yield connection


@asynccontextmanager
async def claimed(connection: AsyncConnection[Any], kind: int, number: int) -> AsyncIterator[bool]:
    """Whether the lock is ours until the end of the block, on a pooled connection that others use afterwards.

    The block may use the connection, and need not: it gives signs of life meanwhile.
    """
    mine = await try_lock(connection, kind, number)
    try:
        if mine:
            await connection.execute(_LIMIT, (SILENCE,))
            async with _beating(connection):
                yield True
        else:
            yield False
    finally:
        if mine:
            await _give_back(connection, kind, number)


async def _give_back(connection: AsyncConnection[Any], kind: int, number: int) -> None:
    """A pooled connection that kept the lock would keep it for ever, so rather no connection."""
    try:
        await release(connection, kind, number)
        await connection.execute(_FREE)
    except psycopg.Error:
        await connection.close()


@asynccontextmanager
async def _beating(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    beating = asyncio.create_task(_beat(connection, stop))
    try:
        yield
    finally:
        stop.set()  # not cancelled in the middle of a beat: the server might take that for the next statement's
        await beating


async def _beat(connection: AsyncConnection[Any], stop: asyncio.Event) -> None:
    with suppress(psycopg.Error):  # a session that broke is found by all who use it
        while not stop.is_set():
            if _rests(connection):
                await connection.execute(_BEAT)
            await pause(stop, BEAT_EVERY)


def _rests(connection: AsyncConnection[Any]) -> bool:
    """Whether nobody uses the connection just now; who does gives signs of life enough."""
    return not connection.lock.locked() and connection.info.transaction_status == TransactionStatus.IDLE


async def try_lock(connection: AsyncConnection[Any], kind: int, number: int) -> bool:
    """Whether this session now holds the lock."""
    cursor = await connection.execute(_TRY, (kind, number))
    return await cursor.fetchone() == (True,)


async def release(connection: AsyncConnection[Any], kind: int, number: int) -> None:
    await connection.execute(_RELEASE, (kind, number))


class Leases:
    """The partitions that this session works on; `held` changes only in `rebalance`, between two batches."""

    def __init__(self, connection: AsyncConnection[Any], partitions: int) -> None:
        self._connection = connection
        self._partitions = partitions
        self._member: int | None = None
        self.held: set[int] = set()

    async def rebalance(self) -> None:
        """Give up what is more than a fair share, take free partitions up to it. Raises psycopg.Error."""
        if self._member is None:
            await self._join()
        members = max(1, len(await self._taken(MEMBERSHIP)))
        share = -(-self._partitions // members)
        for partition in sorted(self.held)[share:]:
            await release(self._connection, PARTITION, partition)
            self.held.discard(partition)
        await self._take(share)

    async def _take(self, share: int) -> None:
        for partition in range(self._partitions):
            if len(self.held) >= share:
                return
            if partition not in self.held and await try_lock(self._connection, PARTITION, partition):
                self.held.add(partition)

    async def _join(self) -> None:
        taken = await self._taken(MEMBERSHIP)
        for number in range(MOST_MEMBERS):
            if number not in taken and await try_lock(self._connection, MEMBERSHIP, number):
                self._member = number
                return

    async def _taken(self, kind: int) -> Sequence[int]:
        cursor = await self._connection.execute(_TAKEN, (kind,))
        return [number for (number,) in await cursor.fetchall()]
