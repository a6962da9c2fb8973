"""The append call over libpq's pipeline mode: a batch can be on its way before the one ahead of it is answered.

Answers come in the order of the batches. Each batch is a transaction of its own (it ends with a Sync), so one that
fails does not touch the next. A batch counts as answered only when its Sync is: rows are sent before the commit is.
"""

from collections.abc import Sequence
from typing import Any

from psycopg import OperationalError, sql
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from command_service.infrastructure.event_store.batch import PARAMETERS

_STATEMENT = "append_batch"
_FORMATS = [Format.BINARY] * PARAMETERS

Rows = list[tuple[Any, ...]]


def prepare(call: sql.Composed) -> sql.Composed:
    """What a connection has to carry out before a pipe is laid over it."""
    return sql.SQL("PREPARE {} AS {}").format(sql.Identifier(_STATEMENT), call)


class Pipe:
    """Over a prepared connection that nobody else uses any more. It knows the protocol; waiting is its owner's part."""

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._transformer = Transformer()
        self._results: list[PGresult] = []
        self.flying = 0

    @property
    def alive(self) -> bool:
        return self._pgconn.status == ConnStatus.OK

    @property
    def socket(self) -> int:
        return self._pgconn.socket

    def send(self, parameters: Sequence[bytes]) -> bool:
        """Start a batch; answers whether more is to be written (see `flush`). Raises psycopg.OperationalError."""
        self._pgconn.send_query_prepared(_STATEMENT.encode(), parameters, _FORMATS, Format.BINARY)
        self._pgconn.pipeline_sync()
        self.flying += 1
        return self.flush()

    def flush(self) -> bool:
        """Write what the socket takes; answers whether there is more. Raises psycopg.OperationalError."""
        return bool(self._pgconn.flush())

    def receive(self) -> list[Rows | Exception]:
        """What has become of the batches that were answered, in their order. Raises psycopg.OperationalError."""
        self._pgconn.consume_input()
        answers: list[Rows | Exception] = []
        while self.flying and not self._pgconn.is_busy():
            result = self._pgconn.get_result()
            if not self.alive:
                raise OperationalError("the connection was lost")
            if result is None:  # the end of one statement's results
                continue
            if result.status == ExecStatus.PIPELINE_SYNC:
                answers.append(self._answer())
            else:
                self._results.append(result)
        return answers

    def _answer(self) -> Rows | Exception:
        results, self._results = self._results, []
        self.flying -= 1
        for result in results:
            if result.status != ExecStatus.TUPLES_OK:  # the call, or after its rows the commit
                return error_from_result(result)
        self._transformer.set_pgresult(results[0])
        return self._transformer.load_rows(0, results[0].ntuples, tuple)
