"""The vault as the command service (writer) and as the query service (reader) sees it."""

from collections.abc import AsyncIterator

import pytest

from tests.shared_kernel.privacy.vaults import Counting, opened
from tests.support.cluster import Vault


@pytest.fixture
async def writer(vault_database: Vault) -> AsyncIterator[Counting]:
    async with opened(vault_database.writer_url) as vault:
        yield vault


@pytest.fixture
async def reader(vault_database: Vault) -> AsyncIterator[Counting]:
    async with opened(vault_database.reader_url) as vault:
        yield vault
