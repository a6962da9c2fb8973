"""Which sessions have just ended: read from the log, kept in memory for as long as one of their tokens could be out.

A notification brings the news at once, a poll brings what a notification did not, and knowledge that has grown old is
no knowledge: then nobody gets in.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, sql

from command_service.infrastructure.event_store.connections import open_connection
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import LIFETIME
from shared_kernel.background import end
from shared_kernel.errors import ServiceUnavailable, TwinlogError, Unauthenticated
from shared_kernel.events.sessions import SessionEnded
from shared_kernel.observability import get_logger

CHANNEL = "denials"
POLL = 0.5
PATIENCE = 2.0
"""Seconds after which a database that does not answer counts as away."""
LIMIT = 3.0
"""Seconds after which knowledge is too old to let anybody in."""
KEPT = LIFETIME + 60
"""Seconds for which a session's end is kept: the life of an access token, and something for clocks that differ."""

_ENDED = sql.SQL("""
SELECT position, tenant, stream, recorded_at FROM events
WHERE topic = {topic} AND position > %s
    AND recorded_at >= (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint - %s
ORDER BY recorded_at, position
""").format(topic=sql.Literal(SessionEnded.TOPIC))
_LISTEN = sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL))

_log = get_logger("denials")


class Notifier(Protocol):
    """Whoever can send a notification to all processes of this service."""

    async def notify(self, channel: str) -> None: ...


class Denials:
    """Ask `refuse` at every request; `start` before, `stop` after. Tokens are denied by their session."""

    def __init__(self, url: str, notifier: Notifier, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._notifier = notifier
        self._clock = clock
        self._ended: dict[tuple[str, UUID], int] = {}
        self._position = 0
        self._known_at = float("-inf")
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: AsyncConnection[Any] | None = None

    def refuse(self, principal: Principal) -> None:
        """Raises Unauthenticated when the caller's session has ended, ServiceUnavailable when that is not known."""
        if self.age > LIMIT:
            raise ServiceUnavailable("Whether this session goes on is not known just now; try again in a moment.")
        if (principal.tenant, principal.session_id) in self._ended:
            raise Unauthenticated

    @property
    def age(self) -> float:
        """Seconds since it was last known which sessions have ended."""
        return self._clock() - self._known_at

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
        """Tell every process that a session has ended, and wait until this one knows; the poll tells the others too."""
        asked_at = self._clock()
        with contextlib.suppress(TwinlogError, TimeoutError):
            await self._notifier.notify(CHANNEL)
            async with asyncio.timeout(PATIENCE):
                while self._known_at < asked_at:
                    await self._news.wait()

    async def _connect(self) -> None:
        async with asyncio.timeout(PATIENCE):
            self._connection = await open_connection(self._url)
            await self._connection.execute(_LISTEN)
            await self._learn(self._connection)

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_connection()
            except (psycopg.Error, OSError, TimeoutError) as error:
                _log.warning("ended sessions cannot be read", error=type(error).__name__)
                await asyncio.sleep(POLL)

    async def _follow_connection(self) -> None:
        if self._connection is None or self._connection.closed:
            await self._connect()
        connection = self._connection
        assert connection is not None  # noqa: S101 (for the type checker: just opened)
        try:
            async for _ in connection.notifies(timeout=POLL, stop_after=1):
                pass
            async with asyncio.timeout(PATIENCE):
                await self._learn(connection)
        except (psycopg.Error, OSError, TimeoutError):
            await connection.close()
            raise

    async def _learn(self, connection: AsyncConnection[Any]) -> None:
        asked_at = self._clock()
        cursor = await connection.execute(_ENDED, (self._position, KEPT * 1_000_000))
        for position, tenant, stream, recorded_at in await cursor.fetchall():
            self._ended[(tenant, UUID(stream.removeprefix("sessions-")))] = recorded_at
            self._position = max(self._position, position)
        self._known_at = asked_at
        self._forget()
        self._news.set()
        self._news = asyncio.Event()

    def _forget(self) -> None:
        """In the order in which they ended, those whose tokens have all expired by now."""
        oldest = int((time.time() - KEPT) * 1_000_000)
        for session, recorded_at in list(self._ended.items()):
            if recorded_at >= oldest:
                return
            del self._ended[session]
