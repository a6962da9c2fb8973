"""A pipe for threads: whoever sends a batch waits for its answer, and nobody else uses the pipe meanwhile."""

import selectors
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import Connection, sql

from command_service.infrastructure.event_store.pipe import Pipe, Rows, prepare


class Line:
    """One connection, used by nobody else; whoever is interrupted in a call leaves it closed."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._pipe = Pipe(connection.pgconn)
        self._selector = selectors.DefaultSelector()
        self._key = self._selector.register(self._pipe.socket, selectors.EVENT_READ)

    @property
    def alive(self) -> bool:
        return self._pipe.alive

    def call(self, parameters: Sequence[bytes]) -> Rows:
        """Send a batch and wait for its answer. Raises psycopg.Error or OSError."""
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
            self._selector.select()
            more = self._pipe.flush()
            self._selector.modify(self._key.fd, selectors.EVENT_READ)
        answers: list[Rows | Exception] = []
        while not answers:
            self._selector.select()
            answers = self._pipe.receive()
        return answers


def open_line(connect: Callable[[], Connection[Any]], call: sql.Composed) -> Line:
    """Over a new connection. Raises psycopg.Error."""
    connection = connect()
    try:
        connection.execute(prepare(call))
    except BaseException:
        connection.close()
        raise
    return Line(connection)
