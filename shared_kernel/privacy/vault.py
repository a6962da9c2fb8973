"""The key vault: each person's data key, wrapped, in a database of its own that erasure alone deletes from."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from shared_kernel.errors import SchemaMismatch, ServiceUnavailable, SubjectErased
from shared_kernel.privacy.cipher import KEY_BYTES, SubjectKey
from shared_kernel.privacy.expiring import ExpiringCache
from shared_kernel.privacy.kek import Kek

__all__ = ["Kek", "KeyVault", "Pair", "SubjectKey"]

REVISION = "0001"
"""The vault's schema revision that this release reads and writes."""

CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000
ERASED_CONSTRAINT = "subject_keys_subject_not_erased"

Pair = tuple[str, str]
"""(tenant, subject)"""

Pool = AsyncConnectionPool[psycopg.AsyncConnection[TupleRow]]

_REVISION = "SELECT version_num FROM alembic_version"

_KEYS_OF = """
SELECT k.tenant, k.subject, k.key_id, k.wrapped, k.kek_generation
  FROM unnest(%s::text[], %s::text[]) AS wanted (tenant, subject)
  JOIN subject_keys AS k ON k.tenant = wanted.tenant AND k.subject = wanted.subject
 WHERE NOT EXISTS (SELECT e.subject FROM erased_subjects AS e WHERE e.tenant = k.tenant AND e.subject = k.subject)
"""

_INSERT = """
INSERT INTO subject_keys (tenant, subject, key_id, wrapped, kek_generation)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT ON CONSTRAINT subject_keys_pk DO NOTHING
"""


class KeyVault:
    """Subject keys by (tenant, subject), for one event loop; `pool` connects with the writer's or the reader's role.

    Keys are remembered for at most 5 seconds, absence never: a key that is destroyed is out of every process soon,
    and a new one is found at once. Every method raises ServiceUnavailable when the vault cannot be reached and
    Unreadable when a row does not open under the key-encryption key.
    """

    def __init__(
        self, pool: Pool, kek: Kek, *, clock: Callable[[], float] = time.monotonic, cache_seconds: float = CACHE_SECONDS
    ) -> None:
        self._pool = pool
        self._kek = kek
        self._known: ExpiringCache[Pair, SubjectKey] = ExpiringCache(
            min(cache_seconds, CACHE_SECONDS), CACHE_SIZE, clock
        )
        self._loading: dict[Pair, asyncio.Task[dict[Pair, SubjectKey]]] = {}

    async def check(self) -> None:
        """Raises SchemaMismatch unless the vault is at the revision this release needs."""
        try:
            found = await self._fetch(_REVISION, ())
        except psycopg.errors.UndefinedTable:
            found = []
        if found != [(REVISION,)]:
            state = f"is at revision {found[0][0]}" if found else "is empty"
            raise SchemaMismatch(f"The key vault {state}, this release needs {REVISION}; run `twinlog migrate`.")

    async def key_of(self, tenant: str, subject: str) -> SubjectKey | None:
        """The person's key, or None when there is none or the person is erased."""
        pair = (tenant, subject)
        return (await self.keys_of([pair])).get(pair)

    async def keys_of(self, pairs: Iterable[Pair]) -> dict[Pair, SubjectKey]:
        """The keys of many people in one question; those without a key are missing from the answer."""
        wanted = set(pairs)
        found = {pair: key for pair in wanted if (key := self._known.get(pair)) is not None}
        missing = wanted - found.keys()
        if fresh := missing - self._loading.keys():
            self._start_loading(fresh)
        for task in {self._loading[pair] for pair in missing}:
            loaded = await asyncio.shield(task)  # one caller that gives up must not take the others' answer along
            found |= {pair: key for pair, key in loaded.items() if pair in missing}
        return found

    async def make_key(self, tenant: str, subject: str) -> SubjectKey:
        """The person's key, made now if there is none yet. Raises SubjectErased for one who has been erased."""
        if (known := await self.key_of(tenant, subject)) is not None:
            return known
        made = SubjectKey(uuid4(), os.urandom(KEY_BYTES))
        wrapped = self._kek.wrap(made, tenant, subject)
        await self._insert((tenant, subject, made.key_id, wrapped, self._kek.current_generation))
        keys = await self._load({(tenant, subject)})  # not what others have on its way: that may be older than the key
        if not keys:
            raise SubjectErased
        return keys[(tenant, subject)]

    def evict(self, tenant: str, subject: str) -> None:
        """Forget a key at once; called when its person is erased."""
        self._known.drop((tenant, subject))

    def _start_loading(self, pairs: set[Pair]) -> None:
        task = asyncio.create_task(self._load(pairs))
        self._loading |= dict.fromkeys(pairs, task)
        task.add_done_callback(lambda done: self._landed(done, pairs))

    def _landed(self, task: asyncio.Task[dict[Pair, SubjectKey]], pairs: set[Pair]) -> None:
        for pair in pairs:
            del self._loading[pair]
        if not task.cancelled():
            task.exception()  # seen: every caller may have given up before it came

    async def _load(self, pairs: set[Pair]) -> dict[Pair, SubjectKey]:
        tenants, subjects = zip(*sorted(pairs), strict=True)
        rows = await self._fetch(_KEYS_OF, (list(tenants), list(subjects)))
        keys = {}
        for tenant, subject, key_id, wrapped, generation in rows:
            key = self._kek.unwrap(wrapped, generation, key_id, tenant, subject)
            keys[(tenant, subject)] = key
            self._known.put((tenant, subject), key)
        return keys

    async def _insert(self, params: tuple[Any, ...]) -> None:
        try:
            await self._fetch(_INSERT, params)
        except psycopg.errors.CheckViolation as error:
            if error.diag.constraint_name == ERASED_CONSTRAINT:
                raise SubjectErased from None
            raise

    async def _fetch(self, query: str, params: tuple[Any, ...]) -> list[TupleRow]:
        """Tried again once after a cut connection: each statement here is harmless when repeated."""
        try:
            return await self._execute(query, params)
        except PoolTimeout:
            raise _unavailable() from None
        except psycopg.OperationalError:
            await self._pool.check()  # a restarted server leaves the pool full of dead connections
        try:
            return await self._execute(query, params)
        except psycopg.OperationalError:
            raise _unavailable() from None

    async def _execute(self, query: str, params: tuple[Any, ...]) -> list[TupleRow]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(query.encode(), params)
            return await cursor.fetchall() if cursor.description else []


def _unavailable() -> ServiceUnavailable:
    return ServiceUnavailable("The key vault cannot be reached just now; try again in a moment.")
