"""Vaults to ask in tests, and what only their owner may do."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg_pool import AsyncConnectionPool

from shared_kernel.privacy import vault as module
from shared_kernel.privacy.vault import Kek, KeyVault
from tests.support.cluster import Vault

OLD, NEW = hashlib.sha256(b"old").digest(), hashlib.sha256(b"new").digest()
KEK = Kek(1, {1: OLD})


class Hand:
    """A clock that is moved by hand."""

    time = 0.0

    def __call__(self) -> float:
        return self.time


class Counting(KeyVault):
    """The vault, counting the questions that it asks the database."""

    questions = 0

    async def _load(self, pairs: set[tuple[str, str]]) -> dict[tuple[str, str], module.SubjectKey]:
        self.questions += 1
        return await super()._load(pairs)


@asynccontextmanager
async def opened(url: str, kek: Kek = KEK, clock: Hand | None = None) -> AsyncIterator[Counting]:
    async with AsyncConnectionPool(url, min_size=1, max_size=4, open=False) as pool:
        yield Counting(pool, kek, clock=clock or Hand())


def as_owner(vault: Vault, statement: str, *params: object) -> list[tuple[object, ...]]:
    with psycopg.connect(vault.owner_url) as connection:
        cursor = connection.execute(statement.encode(), params)
        return cursor.fetchall() if cursor.description else []


def erase(vault: Vault, subject: str, *, fence_only: bool = False) -> None:
    as_owner(vault, "INSERT INTO erased_subjects (tenant, subject) VALUES ('acme', %s)", subject)
    if not fence_only:
        as_owner(vault, "DELETE FROM subject_keys WHERE subject = %s", subject)
