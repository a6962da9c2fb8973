"""The query database at run time: a pool of autocommit connections, and questions that answer whole rows.

A question on a tenant's behalf is asked of `database.of(tenant)`. It says the tenant to row level security for its own
transaction and in the same round trip; a question that says none sees no tenant's rows.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from query_service.infrastructure.lookup import Key, Lookup
from query_service.infrastructure.round_trip import Columns, Connection, RoundTrips
from shared_kernel.coalescing import Coalescer
from shared_kernel.errors import ServiceUnavailable

Query = sql.SQL | sql.Composed
Params = Mapping[str, Any]

TENANT = sql.SQL("SELECT set_config('twinlog.tenant', %(tenant)s, true)")
"""To the end of the transaction: without BEGIN, that is the end of the pipeline in which it is sent."""

AWAY = "The read models cannot be reached just now; try again in a moment."


class Database:
    """Reads of one query database; whatever goes wrong with the server itself is ServiceUnavailable."""

    def __init__(self, url: str, *, size: int = 8, patience: float = 2.0) -> None:
        self.url = url
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=AsyncConnection[DictRow],
            kwargs={"autocommit": True, "row_factory": dict_row, "application_name": "twinlog-query"},
            min_size=1,
            max_size=size,
            timeout=patience,
            reconnect_timeout=patience,  # else its attempts become rarer and rarer while the server is away
            configure=_configure,
            open=False,
        )
        self._round_trips = RoundTrips()
        self._lookups: dict[tuple[Lookup, str], Coalescer[Key, DictRow | None]] = {}

    async def open(self) -> None:
        """Raises psycopg_pool.PoolTimeout when the server cannot be reached."""
        await self.pool.open(wait=True)

    async def close(self) -> None:
        await self.pool.close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for a moment. Raises ServiceUnavailable when there is none or it breaks."""
        try:
            async with self.pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout):
            raise ServiceUnavailable(AWAY) from None

    def of(self, tenant: str) -> "TenantRows":
        """Where to ask for the rows of one tenant."""
        return TenantRows(self, tenant)

    async def rows(self, query: Query, params: Params | None = None) -> Sequence[DictRow]:
        """All rows of the service's own books that answer the query, by column name; no tenant's rows are seen."""
        async with self.connection() as connection:
            return await (await connection.execute(query, params)).fetchall()

    async def row(self, query: Query, params: Params | None = None) -> DictRow | None:
        """The first of them, if any."""
        async with self.connection() as connection:
            return await (await connection.execute(query, params)).fetchone()

    async def rows_of_all(self, question: str, asked: Mapping[str, Columns]) -> Sequence[DictRow]:
        """The rows that answer the question for each tenant with its own parameters, in one round trip."""
        async with self.connection() as connection:
            return await self._round_trips.ask(connection, question, asked)

    async def find(self, lookup: Lookup, generation: str, *key: Any) -> DictRow | None:
        """The row of one key, if there is one: not to be changed, for others may have been given the same."""
        asked = self._lookups.get((lookup, generation))
        if asked is None:
            find_all = partial(self._find_all, lookup, lookup.question(generation))
            asked = self._lookups[(lookup, generation)] = Coalescer(find_all, at_once=1)
        return await asked.ask(key)

    async def _find_all(self, lookup: Lookup, question: str, keys: Sequence[Key]) -> Sequence[DictRow | None]:
        asked = {tenant: lookup.parameters(theirs) for tenant, theirs in lookup.by_tenant(keys).items()}
        return lookup.sorted_by(keys, await self.rows_of_all(question, asked))


class TenantRows:
    """Questions on behalf of one tenant: row level security shows its rows and nobody else's."""

    __slots__ = ("_database", "_tenant")

    def __init__(self, database: Database, tenant: str) -> None:
        self._database = database
        self._tenant = tenant

    async def rows(self, query: Query, params: Params) -> Sequence[DictRow]:
        """All rows that answer the query, by column name."""
        async with self._database.connection() as connection:
            async with connection.pipeline():
                await connection.execute(TENANT, {"tenant": self._tenant})
                cursor = await connection.execute(query, params)
            return await cursor.fetchall()

    async def row(self, query: Query, params: Params) -> DictRow | None:
        """The first row that answers the query, if any."""
        return next(iter(await self.rows(query, params)), None)


async def _configure(connection: Connection) -> None:
    set_json_loads(orjson.loads, connection)


@cache  # two generations times the handful of queries that the features declare
def in_generation(query: str, generation: str) -> sql.SQL:
    """The query with `{generation}` replaced by the schema that holds the live rows."""
    return sql.SQL(query.format(generation=generation))
