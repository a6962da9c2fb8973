"""A pipe for threads: whoever sends a batch waits for its answer, and nobody else uses the pipe meanwhile."""

import selectors
import threading
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Connection, sql

from command_service.infrastructure.event_store.connections import PREPARE_SECONDS, hang_up
from command_service.infrastructure.event_store.pipe import Pipe, Rows, prepare


class Line:
    """One connection, used by nobody else; whoever is interrupted in a call leaves it closed.

    A server that says nothing for `patience` seconds is as good as gone: it may be stopped, its machine may hang.
    """

    def __init__(self, connection: Connection[Any], patience: float) -> None:
        self._connection = connection
        self._patience = patience
        self._pipe = Pipe(connection.pgconn)
        self._selector = selectors.DefaultSelector()
        self._key = self._selector.register(self._pipe.socket, selectors.EVENT_READ)

    @property
    def alive(self) -> bool:
        return self._pipe.alive

    def call(self, parameters: Sequence[bytes]) -> Rows:
        """Send a batch and wait for its answer. Raises psycopg.Error, TimeoutError or another OSError."""
        try:
            (answer,) = self._exchange(parameters)
        except BaseException:  # an answer that nobody waits for must not be taken for that of the next batch
            self.close()
            raise
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self._selector.close()
        self._connection.close()

    def _exchange(self, parameters: Sequence[bytes]) -> list[Rows | Exception]:
        more = self._pipe.send(parameters)
        while more:
            self._selector.modify(self._key.fd, selectors.EVENT_READ | selectors.EVENT_WRITE)
            self._wait()
            more = self._pipe.flush()
            self._selector.modify(self._key.fd, selectors.EVENT_READ)
        answers: list[Rows | Exception] = []
        while not answers:
            self._wait()
            answers = self._pipe.receive()
        return answers

    def _wait(self) -> None:
        if not self._selector.select(self._patience):
            raise TimeoutError(f"the server has said nothing for {self._patience:g} seconds")


def open_line(connect: Callable[[], Connection[Any]], call: sql.Composed, patience: float) -> Line:
    """Over a new connection. Raises psycopg.Error."""
    connection = connect()
    giving_up = threading.Timer(PREPARE_SECONDS, hang_up, (connection,))
    giving_up.start()
    try:
        connection.execute(prepare(call))
    except BaseException:
        connection.close()
        raise
    finally:
        giving_up.cancel()
    return Line(connection, patience)
