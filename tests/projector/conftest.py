"""Surroundings of a projector that every test here can ask for."""

from collections.abc import AsyncIterator

import pytest

from tests.support.chain import Chain, projector_variables, running_chain
from tests.support.cluster import Database, Vault
from tests.support.feed_server import running_feed
from tests.support.history import History
from tests.support.read_side import ReadSide, read_side
from tests.support.tallies import create_tables


@pytest.fixture
async def side(query_database: Database, vault_database: Vault, redis_url: str) -> AsyncIterator[ReadSide]:
    """A query side with the tables of the tallies and an empty log."""
    create_tables(query_database.owner_url)
    async with (
        running_feed(History()) as server,
        read_side(query_database.app_url, vault_database.reader_url, redis_url, server) as ready,
    ):
        yield ready


@pytest.fixture
def variables(query_database: Database, vault_database: Vault, redis_url: str) -> dict[str, str]:
    """Settings of a projector as a process."""
    return projector_variables(query_database, vault_database, redis_url)


@pytest.fixture
async def chain(
    command_database: Database, query_database: Database, vault_database: Vault, variables: dict[str, str]
) -> AsyncIterator[Chain]:
    """Every process that an event passes."""
    async with running_chain(command_database, query_database, vault_database, variables) as running:
        yield running
