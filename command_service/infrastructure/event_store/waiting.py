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


class Ticket(Protocol):
    """An append and somebody who waits for it."""

    @property
    def item(self) -> Item: ...


T = TypeVar("T", bound=Ticket)


class Waiting(Generic[T]):
    """A bounded queue. Not locked: its owner is one event loop, or holds a lock of its own."""

    def __init__(self, capacity: int, abandoned: Callable[[T], bool]) -> None:
        self._capacity = capacity
        self._abandoned = abandoned
        self._queue: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, ticket: T) -> None:
        """Raises StoreBusy when the queue is full."""
        if len(self._queue) >= self._capacity:
            raise StoreBusy
        self._queue.append(ticket)

    def first(self) -> T | None:
        """Who has waited longest."""
        return self._queue[0] if self._queue else None

    def take(self) -> list[T]:
        """The next batch. Whoever could collide with somebody before him stays, and keeps his place."""
        batch: list[T] = []
        passed_over: list[T] = []
        alone: set[Key] = set()
        shared: set[Key] = set()
        rows = size = 0
        while self._queue and len(batch) < MAX_ITEMS and rows < MAX_ROWS and size < MAX_BYTES:
            ticket = self._queue.popleft()
            if self._abandoned(ticket):
                continue
            item = ticket.item
            free = alone.isdisjoint(item.alone) and alone.isdisjoint(item.shared) and shared.isdisjoint(item.alone)
            (batch if free else passed_over).append(ticket)
            alone |= item.alone
            shared |= item.shared
            rows += len(item.rows) if free else 0
            size += sum(len(row.payload) + len(row.metadata) for row in item.rows) if free else 0
            if len(passed_over) >= MAX_PASSED_OVER:
                break
        self._queue.extendleft(reversed(passed_over))
        return batch

    def take_all(self) -> list[T]:
        """Everybody, to be told that nothing more will be written."""
        everybody = list(self._queue)
        self._queue.clear()
        return everybody
