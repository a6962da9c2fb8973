"""Group commit for threads: whoever comes first writes for all who came meanwhile, then hands the lead on.

The same batches, statement and judgement of failures as the appender of the event loop; only the waiting differs.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import psycopg

from command_service.infrastructure.event_store import batch
from command_service.infrastructure.event_store.failure import Failure, failure, named
from command_service.infrastructure.event_store.line import Line
from command_service.infrastructure.event_store.port import Appended, StoreUnavailable
from command_service.infrastructure.event_store.waiting import Waiting
from shared_kernel.errors import TwinlogError

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

GATHER = 0.0003
"""Seconds at most that a leader waits for those whom the last batch has just released, when there were any."""


class Ticket:
    """An append and the thread that waits for it: woken when it is settled, or when it is its turn to lead.

    Settled threads wake each other one after the other: all at once they would only queue for the interpreter.
    """

    __slots__ = ("_turn", "deadline", "following", "item", "outcome")

    def __init__(self, item: batch.Item, deadline: float) -> None:
        self.item = item
        self.deadline = deadline
        self.outcome: Appended | TwinlogError | None = None
        self.following: Ticket | None = None
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> BaseException | None:
        """Until woken. An interrupt is answered, not raised: others wait for this thread to wake them."""
        interrupted: BaseException | None = None
        while True:
            try:
                self._turn.acquire()
            except BaseException as error:  # noqa: BLE001 (an interrupt; `append` raises it when its outcome is known)
                interrupted = error
            else:
                return interrupted

    def wake(self) -> None:
        self._turn.release()


class BlockingAppender:
    """Shared by all threads of a process; `connect` opens the one connection that its batches go over."""

    def __init__(self, connect: Callable[[], Line], *, capacity: int, patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._guard = threading.Lock()
        self._waiting: Waiting[Ticket] = Waiting(capacity, lambda ticket: ticket.outcome is not None)
        self._line: Line | None = None
        self._led = False
        self._crowd = 1
        self._complete = threading.Event()
        self._closed = threading.Event()

    def close(self) -> None:
        """What is being tried again is given up, and the connection closed once the batch on it is answered."""
        self._closed.set()
        with self._guard:
            if not self._led and self._line is not None:
                self._line.close()

    def append(self, item: batch.Item) -> Appended:
        """Raises what became of the item, StoreBusy or StoreUnavailable."""
        ticket = Ticket(item, time.monotonic() + self._patience)
        interrupted = None if self._joins_as_leader(ticket) else ticket.wait()
        if ticket.following is not None:
            ticket.following.wake()
        if ticket.outcome is None:
            self._lead()
        if interrupted is not None:
            raise interrupted
        if not isinstance(ticket.outcome, Appended):
            raise ticket.outcome or StoreUnavailable()
        return ticket.outcome

    def _joins_as_leader(self, ticket: Ticket) -> bool:
        """Queue up; whoever finds nobody leading leads."""
        if self._closed.is_set():
            raise StoreUnavailable
        with self._guard:
            self._waiting.add(ticket)
            leads, self._led = not self._led, True
            if len(self._waiting) >= self._crowd:
                self._complete.set()
        return leads

    def _lead(self) -> None:
        """Write one batch (it holds the leader's own append, which has waited longest) and hand the lead on."""
        tickets: list[Ticket] = []
        try:
            self._complete.wait(GATHER)
            with self._guard:
                tickets = self._waiting.take()
                self._complete.clear()
            self._write(tickets)
        finally:
            self._hand_on(tickets)

    def _hand_on(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:  # nobody waits for ever, whatever went wrong
            ticket.outcome = ticket.outcome or StoreUnavailable()
        with self._guard:
            following = self._waiting.first()
            self._led = following is not None
            self._crowd = len(tickets)
        if following is not None:
            following.wake()
        elif self._closed.is_set():
            self.close()
        _wake_in_turn(tickets[1:])

    def _write(self, tickets: list[Ticket]) -> None:
        pause = FIRST_PAUSE
        while tickets := _in_time(tickets):
            try:
                outcomes = self._send([ticket.item for ticket in tickets])
            except (psycopg.Error, OSError, batch.Unencodable) as error:
                verdict = failure(error, connected=self._line is not None and self._line.alive)
                if verdict in (Failure.POISONED, Failure.BROKEN):
                    self._blame(tickets, verdict, error)
                    return
                if self._closed.wait(pause):
                    return
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                for ticket, outcome in zip(tickets, outcomes, strict=True):
                    ticket.outcome = outcome
                return

    def _send(self, items: Sequence[batch.Item]) -> Sequence[Appended | TwinlogError]:
        parameters = batch.encode(items)
        if self._line is None or not self._line.alive:
            self._line = self._connect()
        return batch.decode(items, self._line.call(parameters)).outcomes

    def _blame(self, tickets: list[Ticket], verdict: Failure, error: Exception) -> None:
        """One of them cannot be stored: halve the batch until it stands alone. If none can, none needs to be tried."""
        if verdict is Failure.BROKEN or len(tickets) == 1:
            for ticket in tickets:
                ticket.outcome = named(error)
            return
        middle = len(tickets) // 2
        self._write(tickets[:middle])
        self._write(tickets[middle:])


def _wake_in_turn(tickets: list[Ticket]) -> None:
    for ticket, after in pairwise(tickets):
        ticket.following = after
    if tickets:
        tickets[0].wake()


def _in_time(tickets: list[Ticket]) -> list[Ticket]:
    now = time.monotonic()
    for ticket in tickets:
        if ticket.deadline <= now:
            ticket.outcome = StoreUnavailable()
    return [ticket for ticket in tickets if ticket.deadline > now]
