"""Group commit for one event loop: appends that arrive while batches are in flight go into the next one."""

import asyncio
from collections import deque
from dataclasses import dataclass
from functools import partial

import psycopg
from psycopg import sql

from command_service.infrastructure.event_store import batch
from command_service.infrastructure.event_store.connections import CONNECT, PREPARE_SECONDS
from command_service.infrastructure.event_store.failure import Failure, failure, named
from command_service.infrastructure.event_store.flight import Flight, Outcome, open_flight
from command_service.infrastructure.event_store.pipe import Rows
from command_service.infrastructure.event_store.port import Appended, StoreUnavailable
from command_service.infrastructure.event_store.waiting import MAX_ITEMS, Waiting
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import get_logger

_log = get_logger("event-store")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
CALL_TIMEOUT = 15.0
"""Seconds: a little more than the server's own patience with a statement."""

LAST_WORD = CONNECT["connect_timeout"] + PREPARE_SECONDS + CALL_TIMEOUT
"""Seconds that an append may still take when its patience ends just after its last attempt has begun."""

WORTH_A_FLIGHT = 8
"""So many appends are worth a second batch beside the one in flight: the server works on one while we read the other's
answer. Fewer are faster in one batch, which the disk is waited for once."""

_TROUBLE = (psycopg.Error, OSError, TimeoutError, batch.Unencodable)


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
    """Writes batches over one connection, at most two at a time, and opens a new one when it is lost.

    The bytes of a lost batch are sent again: event ids tell the log what it has already. Nothing is sent once its
    patience is over, so that nobody waits longer than `patience` and LAST_WORD seconds.
    """

    def __init__(self, url: str, call: sql.Composed, *, capacity: int, patience: float) -> None:
        self._connect = partial(open_flight, url, call, CALL_TIMEOUT)
        self._patience = patience
        self._waiting: Waiting[Ticket] = Waiting(capacity, lambda ticket: ticket.future.done())
        self._flight: Flight | None = None
        self._troubled: deque[tuple[list[Ticket], Exception | None]] = deque()
        self._mender: asyncio.Task[None] | None = None
        self._accepts = self._called = False
        self._crowd = self._aboard = 0
        self._drained = asyncio.Event()
        self.clock_behind = 0

    def __len__(self) -> int:
        """How many appends wait for their batch."""
        return len(self._waiting)

    def start(self) -> None:
        self._accepts = True

    async def stop(self) -> None:
        """Write what waits, then close the connection; whoever comes later hears StoreUnavailable."""
        self._accepts = False
        self._call()
        await self._drained.wait()
        if self._flight is not None:
            self._flight.close()

    async def append(self, item: batch.Item) -> Appended:
        """Raises what became of the item, StoreBusy or StoreUnavailable."""
        if not self._accepts:
            raise StoreUnavailable
        loop = asyncio.get_running_loop()
        ticket = Ticket(item, loop.create_future(), loop.time() + self._patience)
        self._waiting.add(ticket)
        if self._crowd <= 1 and not self._flying:
            self._depart()
        elif not self._called:
            self._call()
        return await ticket.future

    def _call(self) -> None:
        """Look at who waits, once everybody who is about to append in this turn of the loop has done so."""
        self._called = True
        asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._called = False
        self._crowd = max(self._aboard + len(self._waiting), self._crowd * 9 // 10)
        while self._has_room() and (tickets := self._waiting.take(self._share())):
            self._send(tickets)
        if not (self._accepts or self._flying or self._mender or len(self._waiting)):
            self._drained.set()

    @property
    def _flying(self) -> int:
        return 0 if self._flight is None else self._flight.flying

    def _has_room(self) -> bool:
        if self._mender is not None:
            return False
        return self._flying == 0 or (self._flying == 1 and len(self._waiting) >= WORTH_A_FLIGHT)

    def _share(self) -> int:
        """Half of the crowd when it is worth two batches, everybody when it is not."""
        return (self._crowd + 1) // 2 if self._crowd >= 2 * WORTH_A_FLIGHT else MAX_ITEMS

    def _send(self, tickets: list[Ticket]) -> None:
        """The way of nearly every batch; whatever is out of the ordinary is the mender's."""
        try:
            tickets = _in_time(tickets)
            if self._flight is None or not self._flight.alive:
                self._mend(tickets, None)
            elif tickets:
                self._flight.send(batch.encode([ticket.item for ticket in tickets]), partial(self._landed, tickets))
                self._aboard += len(tickets)
        except Exception as error:  # noqa: BLE001 (also a fault of this program: the mender says it to all callers)
            self._mend(tickets, error)

    def _landed(self, tickets: list[Ticket], outcome: Outcome) -> None:
        self._aboard -= len(tickets)
        if isinstance(outcome, Exception):
            self._mend(tickets, outcome)
        else:
            self._tell(tickets, outcome)
        if not self._called:
            self._call()  # those who were answered may have more to say: let them join

    def _tell(self, tickets: list[Ticket], rows: Rows) -> None:
        """The batch is in the log. Should the answer be unreadable, that is a fault of this program, of whatever kind:
        the mender says so to all callers, and none of them waits for ever.
        """
        try:
            self._answer(tickets, rows)
        except Exception as fault:  # noqa: BLE001 (see above: whatever it is, each caller hears of it)
            self._mend(tickets, fault)

    def _answer(self, tickets: list[Ticket], rows: Rows) -> None:
        answer = batch.decode([ticket.item for ticket in tickets], rows)
        self.clock_behind = answer.clock_behind
        for ticket, outcome in zip(tickets, answer.outcomes, strict=True):
            ticket.settle(outcome)

    def _mend(self, tickets: list[Ticket], error: Exception | None) -> None:
        self._troubled.append((tickets, error))
        if self._mender is None:
            self._mender = asyncio.create_task(self._mend_all(), name="event-store-mender")

    async def _mend_all(self) -> None:
        while self._troubled:
            await self._settle(*self._troubled.popleft())
        self._mender = None
        self._depart()

    async def _settle(self, tickets: list[Ticket], error: Exception | None) -> None:
        """Whatever goes wrong with a batch, nobody waits for ever and the next batch has its chance.

        So even a fault of this program, of whatever kind, must not end the mender, whom later batches need too.
        """
        try:
            if error is None or isinstance(error, _TROUBLE):
                await self._write(tickets, error)
            else:
                self._give_up(tickets, error)
        except Exception as fault:  # noqa: BLE001 (see above: the mender goes on)
            self._give_up(tickets, fault)
        finally:
            for ticket in tickets:
                ticket.settle(StoreUnavailable())

    def _give_up(self, tickets: list[Ticket], fault: Exception) -> None:
        """After a fault of this program; the connection may be in the middle of anything."""
        _log.error("batch-failed", appends=len(tickets), exc_info=fault)
        if self._flight is not None:
            self._flight.close()

    async def _write(self, tickets: list[Ticket], error: Exception | None = None) -> None:
        """Until the batch is in the log, is blamed, or is not worth trying any more; `error` is what it met before."""
        pause = FIRST_PAUSE
        while True:
            if error is not None:
                verdict = failure(error, connected=self._flight is not None and self._flight.alive)
                if verdict in (Failure.POISONED, Failure.BROKEN):
                    await self._blame(tickets, verdict, error)
                    return
                _log.warning("batch-retried", failure=verdict.value, error=type(error).__name__, appends=len(tickets))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            tickets = _in_time(tickets)
            error = await self._try(tickets) if tickets else None
            if error is None:
                return

    async def _try(self, tickets: list[Ticket]) -> Exception | None:
        try:
            parameters = batch.encode([ticket.item for ticket in tickets])
            if self._flight is None or not self._flight.alive:
                self._flight = await self._connect()
            self._answer(tickets, await self._flight.call(parameters))
        except _TROUBLE as error:
            return error
        return None

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


def _in_time(tickets: list[Ticket]) -> list[Ticket]:
    now = asyncio.get_running_loop().time()
    for ticket in tickets:
        if ticket.deadline <= now:
            ticket.settle(StoreUnavailable())
    return [ticket for ticket in tickets if ticket.deadline > now]
