"""One prepared question for several tenants, each told apart to row level security, in one round trip.

The driver's own pipeline does the same at twice the processor time, and what is asked here is the hot path. Without
BEGIN everything up to the Sync is one transaction, so what `set_config` says ends with it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from psycopg import AsyncConnection, OperationalError, adapt, generators, sql
from psycopg.abc import PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.errors import InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.rows import DictRow

Connection = AsyncConnection[DictRow]
Columns = Sequence[Sequence[Any]]
"""An array for each parameter of the question."""

Sent = tuple[bytes, Sequence[Any], Sequence[Format]]
"""A prepared statement with its parameters as the server reads them."""

TENANT = "SELECT set_config('twinlog.tenant', $1, true)"


class RoundTrips:
    """Knows which questions each connection has prepared."""

    def __init__(self) -> None:
        self._prepared: WeakKeyDictionary[Connection, dict[str, bytes]] = WeakKeyDictionary()

    async def ask(self, connection: Connection, question: str, asked: Mapping[str, Columns]) -> list[DictRow]:
        """The rows for each tenant with its own parameters ($1, $2 and so on). Raises psycopg.Error."""
        try:
            return await self._ask(connection, question, asked)
        except InvalidSqlStatementName:  # the driver lets go of all prepared statements after a ROLLBACK, ours too
            del self._prepared[connection]
            return await self._ask(connection, question, asked)

    async def _ask(self, connection: Connection, question: str, asked: Mapping[str, Columns]) -> list[DictRow]:
        say, name = await self._name(connection, TENANT), await self._name(connection, question)
        transformer = adapt.Transformer(connection)
        sent: list[Sent] = []
        for tenant, columns in asked.items():
            sent += (_sent(transformer, say, [tenant]), _sent(transformer, name, columns))
        async with connection.lock:
            results = await connection.wait(_there_and_back(connection.pgconn, sent))
        for result in results:
            if result.status != ExecStatus.TUPLES_OK:
                raise error_from_result(result)
        return [row for result in results[1::2] for row in _rows(transformer, result)]

    async def _name(self, connection: Connection, question: str) -> bytes:
        known = self._prepared.setdefault(connection, {})
        if question not in known:
            name = f"question_{len(known)}"
            await connection.execute(sql.SQL("PREPARE {} AS ").format(sql.Identifier(name)) + sql.SQL(question))
            known[question] = name.encode()
        return known[question]


def _sent(transformer: Transformer, name: bytes, parameters: Sequence[Any]) -> Sent:
    values = transformer.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
    return name, values, transformer.formats or ()


def _there_and_back(pgconn: PGconn, sent: Sequence[Sent]) -> PQGen[list[PGresult]]:
    pgconn.enter_pipeline_mode()
    for name, parameters, formats in sent:
        pgconn.send_query_prepared(name, parameters, formats, Format.TEXT)
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results: list[PGresult] = []
    while True:
        result = yield from generators.fetch(pgconn)
        if pgconn.status != ConnStatus.OK:
            raise OperationalError("the connection was lost")
        if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
            pgconn.exit_pipeline_mode()
            return results
        if result is not None:  # else the end of one statement's results
            results.append(result)


def _rows(transformer: Transformer, result: PGresult) -> Sequence[DictRow]:
    transformer.set_pgresult(result)
    names = [(result.fname(place) or b"").decode() for place in range(result.nfields)]
    return transformer.load_rows(0, result.ntuples, partial(_named, names))


def _named(names: Sequence[str], values: Sequence[Any]) -> DictRow:
    return dict(zip(names, values, strict=True))
