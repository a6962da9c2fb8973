"""The query database at run time: a pool of autocommit connections, and questions that answer whole rows."""

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
from shared_kernel.coalescing import Coalescer
from shared_kernel.errors import ServiceUnavailable

Connection = AsyncConnection[DictRow]
Query = sql.SQL | sql.Composed


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
            raise ServiceUnavailable("The read models cannot be reached just now; try again in a moment.") from None

    async def rows(self, query: Query, params: Mapping[str, Any] | None = None) -> Sequence[DictRow]:
        """All rows that answer the query, by column name."""
        async with self.connection() as connection:
            return await (await connection.execute(query, params)).fetchall()

    async def row(self, query: Query, params: Mapping[str, Any] | None = None) -> DictRow | None:
        """The first row that answers the query, if any."""
        async with self.connection() as connection:
            return await (await connection.execute(query, params)).fetchone()

    async def find(self, lookup: Lookup, generation: str, *key: Any) -> DictRow | None:
        """The row of one key, if there is one: not to be changed, for others may have been given the same."""
        asked = self._lookups.get((lookup, generation))
        if asked is None:
            find_all = partial(self._find_all, lookup, in_generation(lookup.query, generation))
            asked = self._lookups[(lookup, generation)] = Coalescer(find_all, at_once=1)
        return await asked.ask(key)

    async def _find_all(self, lookup: Lookup, query: Query, keys: Sequence[Key]) -> Sequence[DictRow | None]:
        return lookup.sorted_by(keys, await self.rows(query, lookup.parameters(keys)))


async def _configure(connection: Connection) -> None:
    set_json_loads(orjson.loads, connection)


@cache  # two generations times the handful of queries that the features declare
def in_generation(query: str, generation: str) -> sql.SQL:
    """The query with `{generation}` replaced by the schema that holds the live rows."""
    return sql.SQL(query.format(generation=generation))
