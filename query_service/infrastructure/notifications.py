"""Hears `NOTIFY` on a connection of its own, and makes a new connection when that one breaks."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from shared_kernel.background import end

RECONNECT = 1.0
"""Seconds before a broken connection is made anew."""


class Notifications:
    """Calls `heard` for every notification on a channel, from `open` until `close`; some may be missed in between."""

    def __init__(self, url: str, channel: str, heard: Callable[[], None]) -> None:
        self._url = url
        self._listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
        self._heard = heard
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises psycopg.OperationalError when the server cannot be reached."""
        connection = await self._connect()
        self._task = asyncio.create_task(self._run(connection))

    async def close(self) -> None:
        await end(self._task)
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> AsyncConnection[Any]:
        # Kept before anything else is awaited, so that `close` finds it whenever the task is cancelled.
        self._connection = connection = await AsyncConnection.connect(self._url, autocommit=True)
        await connection.execute(self._listen)
        return connection

    async def _run(self, connection: AsyncConnection[Any]) -> None:
        while True:
            try:
                async for _ in connection.notifies():
                    self._heard()
            except psycopg.Error:
                await connection.close()
            connection = await self._connect_again()

    async def _connect_again(self) -> AsyncConnection[Any]:
        while True:
            await asyncio.sleep(RECONNECT)
            try:
                return await self._connect()
            except psycopg.Error:
                continue
