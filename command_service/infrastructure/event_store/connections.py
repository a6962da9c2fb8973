"""Connections to the command database: time-outs on everything, so that no wait is for ever."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, BaseConnection, sql
from psycopg_pool import AsyncConnectionPool

Configure = Callable[[AsyncConnection[Any]], Awaitable[None]]

CONNECT: dict[str, Any] = {
    "autocommit": True,
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "twinlog-command",
}

PREPARE_SECONDS = 5.0
"""How long a server that has accepted a connection may take until batches can be sent over it."""

RECONNECT_SECONDS = 2.0
"""The pool waits twice as long after every failed attempt; giving up soon, it starts afresh with the next reader."""

STATEMENT_TIMEOUT = "10s"

FEED_TIMEOUT = "10min"
"""A page of the feed is one statement, and takes as long as its reader does."""

# A batch is one call, and no client holds the lock across a round trip: an idle transaction is somebody's mistake.
_SESSION = """
    SELECT set_config('lock_timeout', '5s', false), set_config('statement_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', '10s', false),
        set_config('default_transaction_isolation', 'read committed', false)
"""


async def open_connection(url: str, *first: sql.Composed) -> AsyncConnection[Any]:
    """A connection of its own for an appender, over which statements were carried out already. Raises psycopg.Error."""
    connection = await AsyncConnection.connect(url, **CONNECT)
    giving_up = asyncio.get_running_loop().call_later(PREPARE_SECONDS, hang_up, connection)
    try:
        await configure(connection)
        for statement in first:
            await connection.execute(statement)
    except BaseException:
        await connection.close()
        raise
    finally:
        giving_up.cancel()
    return connection


def hang_up(connection: BaseConnection[Any]) -> None:
    """Whoever waits for the server's answer hears that the connection is lost; from any thread, and while he waits."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
        line.shutdown(socket.SHUT_RDWR)


async def configure(connection: AsyncConnection[Any]) -> None:
    """What every connection of the service gets."""
    await connection.execute(_SESSION, [STATEMENT_TIMEOUT])


async def configure_for_feed(connection: AsyncConnection[Any]) -> None:
    """The same, with more time for a statement."""
    await connection.execute(_SESSION, [FEED_TIMEOUT])


def reading_pool(url: str, size: int, patience: float) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """Connections for reads, not opened yet; whoever gets none in `patience` seconds meets PoolTimeout."""
    return _pool(url, configure, at_least=1, at_most=size, patience=patience)


def feeding_pool(url: str, size: int, patience: float) -> AsyncConnectionPool[AsyncConnection[Any]]:
    """Connections for the feed, not opened yet, and none before somebody reads it."""
    return _pool(url, configure_for_feed, at_least=0, at_most=size, patience=patience)


def _pool(
    url: str, configured: Configure, *, at_least: int, at_most: int, patience: float
) -> AsyncConnectionPool[AsyncConnection[Any]]:
    return AsyncConnectionPool(
        url,
        kwargs=CONNECT,
        configure=configured,
        min_size=at_least,
        max_size=at_most,
        timeout=patience,
        reconnect_timeout=RECONNECT_SECONDS,
        open=False,
    )


def is_alive(connection: BaseConnection[Any] | None) -> bool:
    return connection is not None and not connection.closed and not connection.broken
