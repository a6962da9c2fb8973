"""Group commit for one event loop: appends that arrive while a batch is in flight go into the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql

from command_service.infrastructure.event_store import batch
from command_service.infrastructure.event_store.connections import is_alive
from command_service.infrastructure.event_store.failure import Failure, failure, named
from command_service.infrastructure.event_store.port import Appended, StoreUnavailable
from command_service.infrastructure.event_store.waiting import Waiting
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import get_logger

_log = get_logger("event-store")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CALL_TIMEOUT = 15.0
"""Seconds: a little more than the server's own patience with a statement."""


@dataclass(slots=True, eq=False)
class Ticket:
    """An append, who waits for it, and until when it is worth trying."""

    item: batch.Item
    future: asyncio.Future[Appended]
    deadline: float

    def settle(self, outcome: Appended | TwinlogError) -> None:
        if self.future.done():  # the caller has gone away
            return
        if isinstance(outcome, Appended):
            self.future.set_result(outcome)
        else:
            self.future.set_exception(outcome)


class Appender:
    """Writes one batch at a time over one connection, and opens a new one when it is lost.

    The bytes of a lost batch are sent again: event ids tell the log what it has already.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[AsyncConnection[Any]]],
        call: sql.Composed,
        *,
        capacity: int,
        patience: float,
    ) -> None:
        self._connect = connect
        self._call = call
        self._patience = patience
        self._waiting: Waiting[Ticket] = Waiting(capacity, lambda ticket: ticket.future.done())
        self._arrived = asyncio.Event()
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self.clock_behind = 0

    def __len__(self) -> int:
        """How many appends wait for their batch."""
        return len(self._waiting)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="event-store-appender")

    async def stop(self) -> None:
        """Write what waits, then close the connection; whoever comes later hears StoreUnavailable."""
        task, self._task = self._task, None
        if task is not None:
            self._arrived.set()
            await task
        if self._connection is not None:
            await self._connection.close()

    async def append(self, item: batch.Item) -> Appended:
        """Raises what became of the item, StoreBusy or StoreUnavailable."""
        if self._task is None or self._task.done():
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        ticket = Ticket(item, loop.create_future(), loop.time() + self._patience)
        self._waiting.add(ticket)
        self._arrived.set()
        return await ticket.future

    async def _run(self) -> None:
        try:
            while self._task is not None or len(self._waiting):
                await self._arrived.wait()
                tickets = self._waiting.take()
                if not tickets:
                    self._arrived.clear()
                    continue
                await self._settle(tickets)
                await asyncio.sleep(0)  # those who were answered may have more to say: let them join
        finally:
            for ticket in self._waiting.take_all():
                ticket.settle(StoreUnavailable())

    async def _settle(self, tickets: list[Ticket]) -> None:
        """Whatever goes wrong with a batch, nobody waits for ever and the next batch has its chance."""
        try:
            await self._write(tickets)
        except Exception:  # noqa: BLE001 (a fault of this program; the connection may be in the middle of anything)
            _log.exception("batch-failed", appends=len(tickets))
            if self._connection is not None:
                await self._connection.close()
        finally:
            for ticket in tickets:
                ticket.settle(StoreUnavailable())

    async def _write(self, tickets: list[Ticket]) -> None:
        pause = FIRST_PAUSE
        while tickets := self._in_time(tickets):
            try:
                answer = await self._send([ticket.item for ticket in tickets])
            except (psycopg.Error, OSError, TimeoutError, batch.Unencodable) as error:
                verdict = failure(error, connected=is_alive(self._connection))
                if verdict in (Failure.POISONED, Failure.BROKEN):
                    await self._blame(tickets, verdict, error)
                    return
                _log.warning("batch-retried", failure=verdict.value, error=type(error).__name__, appends=len(tickets))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self.clock_behind = answer.clock_behind
                for ticket, outcome in zip(tickets, answer.outcomes, strict=True):
                    ticket.settle(outcome)
                return

    async def _send(self, items: Sequence[batch.Item]) -> batch.Answer:
        parameters = batch.encode(items)
        if not is_alive(self._connection):
            self._connection = await self._connect()
        connection = self._connection
        assert connection is not None  # noqa: S101 (for the type checker: just opened)
        try:
            async with asyncio.timeout(CALL_TIMEOUT), connection.cursor(binary=True) as cursor:
                await cursor.execute(self._call, parameters, prepare=True)
                return batch.decode(items, await cursor.fetchall())
        except (OSError, TimeoutError):
            await connection.close()
            raise

    async def _blame(self, tickets: list[Ticket], verdict: Failure, error: Exception) -> None:
        """One of them cannot be stored: halve the batch until it stands alone. If none can, none needs to be tried."""
        if verdict is Failure.BROKEN or len(tickets) == 1:
            _log.warning("append-refused", failure=verdict.value, error=type(error).__name__, appends=len(tickets))
            for ticket in tickets:
                ticket.settle(named(error))
            return
        middle = len(tickets) // 2
        await self._write(tickets[:middle])
        await self._write(tickets[middle:])

    @staticmethod
    def _in_time(tickets: list[Ticket]) -> list[Ticket]:
        now = asyncio.get_running_loop().time()
        for ticket in tickets:
            if ticket.deadline <= now:
                ticket.settle(StoreUnavailable())
        return [ticket for ticket in tickets if ticket.deadline > now]
