"""A pipe in an event loop: a batch departs, and its owner is called when it has landed or is lost."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import AsyncConnection, OperationalError, sql

from command_service.infrastructure.event_store.connections import open_connection
from command_service.infrastructure.event_store.pipe import Pipe, Rows, prepare

Outcome = Rows | Exception


class Flight:
    """One connection, used by nobody else. Callbacks are called from the loop, in the order of departure."""

    def __init__(self, connection: AsyncConnection[Any], patience: float) -> None:
        self._connection = connection
        self._pipe = Pipe(connection.pgconn)
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._landings: deque[tuple[Callable[[Outcome], object], asyncio.TimerHandle]] = deque()
        self._socket = self._pipe.socket
        self._loop.add_reader(self._socket, self._read)

    @property
    def alive(self) -> bool:
        return self._pipe.alive

    @property
    def flying(self) -> int:
        return len(self._landings)

    def send(self, parameters: Sequence[bytes], landed: Callable[[Outcome], object]) -> None:
        """`landed` hears the rows of the answer or what went wrong. Raises psycopg.OperationalError."""
        more = self._pipe.send(parameters)
        self._landings.append((landed, self._loop.call_later(self._patience, self._lose, TimeoutError())))
        if more:
            self._loop.add_writer(self._socket, self._write)

    async def call(self, parameters: Sequence[bytes]) -> Rows:
        """The same for who waits for one batch. Raises what went wrong."""
        future: asyncio.Future[Outcome] = self._loop.create_future()
        self.send(parameters, lambda outcome: None if future.done() else future.set_result(outcome))
        outcome = await future
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def close(self) -> None:
        """Whatever is in flight is lost."""
        self._lose(OperationalError("the connection was closed"))

    def _write(self) -> None:
        try:
            more = self._pipe.flush()
        except OperationalError as error:
            self._lose(error)
        else:
            if not more:
                self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            answers = self._pipe.receive()
        except OperationalError as error:
            self._lose(error)
        else:
            for answer in answers:
                self._land(answer)

    def _land(self, outcome: Outcome) -> None:
        landed, timer = self._landings.popleft()
        timer.cancel()
        landed(outcome)

    def _lose(self, error: Exception) -> None:
        """Let go of the socket before the driver closes it: its number may be somebody else's a moment later."""
        if self._socket >= 0:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = -1
        self._connection.pgconn.finish()
        # Not the driver's error: by the time it is judged, another connection may live, and would vouch for this one.
        lost = error if isinstance(error, OSError) else ConnectionResetError(str(error))
        while self._landings:
            self._land(lost)


async def open_flight(url: str, call: sql.Composed, patience: float) -> Flight:
    """Over a new connection; `patience` seconds after its departure a batch counts as lost. Raises psycopg.Error."""
    return Flight(await open_connection(url, prepare(call)), patience)
