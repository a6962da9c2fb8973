"""Which sessions have ended, which roles were withdrawn, which policies there are: read from the log, kept in memory.

A notification brings the news at once, a poll brings what a notification did not, and knowledge that has grown old is
no knowledge: then nobody gets in.
"""

import asyncio
import contextlib
from typing import Any, Protocol

import psycopg
from psycopg import AsyncConnection, sql

from command_service.infrastructure.event_store.connections import open_connection
from command_service.infrastructure.policies import PolicyReader
from shared_kernel.auth.denials import KEPT, DenialList
from shared_kernel.background import end
from shared_kernel.errors import TwinlogError
from shared_kernel.events.access import RoleWithdrawn
from shared_kernel.events.sessions import SessionEnded
from shared_kernel.observability import get_logger

CHANNEL = "denials"
POLL = 0.5
PATIENCE = 2.0
"""Seconds after which a database that does not answer counts as away."""

_OF_TOPIC = sql.SQL("""
SELECT position, topic, tenant, stream, version, recorded_at FROM events
WHERE topic = {topic} AND position > %(after)s
    AND recorded_at >= (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint - %(age)s
""")
_NEWS = sql.SQL("UNION ALL").join(  # each topic has an index of its own
    _OF_TOPIC.format(topic=sql.Literal(event.TOPIC)) for event in (SessionEnded, RoleWithdrawn)
)
_LISTEN = sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL))

_log = get_logger("denials")


class Notifier(Protocol):
    """Whoever can send a notification to all processes of this service."""

    async def notify(self, channel: str) -> None: ...


class Denials:
    """Keeps `known` up to date between `start` and `stop`. Tokens are denied by their session, or by their roles."""

    def __init__(self, url: str, notifier: Notifier, policies: PolicyReader) -> None:
        self.known = DenialList()
        self._policies = policies
        self._url = url
        self._notifier = notifier
        self._position = 0
        self._learnt_at = float("-inf")
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConnection[Any] | None = None

    async def start(self) -> None:
        """Raises psycopg.Error or TimeoutError when the database does not answer."""
        await self._connect()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)
        if self._connection is not None:
            await self._connection.close()

    async def announce(self) -> None:
        """Tell every process that there is news, and wait until this one knows; the poll tells the others too."""
        asked_at = self.known.clock()
        with contextlib.suppress(TwinlogError, TimeoutError):
            await self._notifier.notify(CHANNEL)
            async with asyncio.timeout(PATIENCE):
                while self._learnt_at < asked_at:
                    await self._news.wait()

    async def _connect(self) -> AsyncConnection[Any]:
        async with asyncio.timeout(PATIENCE):
            connection = self._connection = await open_connection(self._url)
            await connection.execute(_LISTEN)
            await self._learn(connection, anew=True)
        return connection

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_connection()
            except (psycopg.Error, OSError, TimeoutError) as error:
                _log.warning("ended sessions cannot be read", error=type(error).__name__)
                await asyncio.sleep(POLL)

    async def _follow_connection(self) -> None:
        connection = self._connection
        if connection is None or connection.closed:
            connection = await self._connect()
        try:
            async for _ in connection.notifies(timeout=POLL, stop_after=1):
                pass
            async with asyncio.timeout(PATIENCE):
                await self._learn(connection)
        except (psycopg.Error, OSError, TimeoutError):
            await connection.close()
            raise

    async def _learn(self, connection: AsyncConnection[Any], *, anew: bool = False) -> None:
        asked_at = self.known.clock()
        await self._policies.read(connection, anew=anew)
        if anew or self.known.was_set_back():  # behind a new connection may be a log that was restored
            self._position = 0
        cursor = await connection.execute(_NEWS, {"after": self._position, "age": KEPT * 1_000_000})
        for position, topic, *news in await cursor.fetchall():
            self.known.hear(topic, *news)
            self._position = max(self._position, position)
        self.known.known_since(asked_at)
        self._learnt_at = asked_at
        self._news.set()
        self._news = asyncio.Event()
