"""Appends that wait for their batch: first come, first served, and no two in one batch that could collide."""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from command_service.infrastructure.event_store.batch import Item, Key
from command_service.infrastructure.event_store.port import StoreBusy

MAX_ITEMS = 256
MAX_ROWS = 2_000
MAX_BYTES = 4 * 1024 * 1024
MAX_PASSED_OVER = 1_000

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Of payloads and metadata that wait; many large ones are refused before their number is."""


class Ticket(Protocol):
    """An append and somebody who waits for it."""

    @property
    def item(self) -> Item: ...


T = TypeVar("T", bound=Ticket)


class _Gathering(Generic[T]):
    """A batch in the making, and who is passed over because he could collide with somebody before him."""

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self.batch: list[T] = []
        self.passed_over: list[T] = []
        self._alone: set[Key] = set()
        self._shared: set[Key] = set()
        self._rows = self._size = 0

    def full(self) -> bool:
        """Whether the batch is large enough, or the search for more has gone on long enough."""
        enough = len(self.batch) >= self._at_most or self._rows >= MAX_ROWS or self._size >= MAX_BYTES
        return enough or len(self.passed_over) >= MAX_PASSED_OVER

    def offer(self, ticket: T) -> None:
        item = ticket.item
        if self._could_collide(item):
            self.passed_over.append(ticket)
        else:
            self.batch.append(ticket)
            self._rows += len(item.rows)
            self._size += item.size
        self._alone |= item.alone
        self._shared |= item.shared

    def _could_collide(self, item: Item) -> bool:
        apart = self._alone.isdisjoint(item.alone) and self._alone.isdisjoint(item.shared)
        return not (apart and self._shared.isdisjoint(item.alone))


class Waiting(Generic[T]):
    """A bounded queue. Not locked: its owner is one event loop, or holds a lock of its own."""

    def __init__(self, capacity: int, abandoned: Callable[[T], bool]) -> None:
        self._capacity = capacity
        self._abandoned = abandoned
        self._queue: deque[T] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, ticket: T) -> None:
        """Raises StoreBusy when the queue is full, of appends or of bytes."""
        if len(self._queue) >= self._capacity or self._bytes >= MAX_WAITING_BYTES:
            raise StoreBusy
        self._queue.append(ticket)
        self._bytes += ticket.item.size

    def first(self) -> T | None:
        """Who has waited longest."""
        return self._queue[0] if self._queue else None

    def take(self, at_most: int = MAX_ITEMS) -> list[T]:
        """The next batch. Whoever could collide with somebody before him stays, and keeps his place."""
        gathering = _Gathering[T](at_most)
        while self._queue and not gathering.full():
            ticket = self._queue.popleft()
            self._bytes -= ticket.item.size
            if not self._abandoned(ticket):
                gathering.offer(ticket)
        for ticket in reversed(gathering.passed_over):
            self._queue.appendleft(ticket)
            self._bytes += ticket.item.size
        return gathering.batch
