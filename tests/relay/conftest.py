"""Surroundings of a relay that every test here can ask for."""

from collections.abc import AsyncIterator

import pytest

from tests.support.cluster import Database
from tests.support.write_side import WriteSide, write_side


@pytest.fixture
async def side(command_database: Database, redis_url: str) -> AsyncIterator[WriteSide]:
    """A write side with an empty log."""
    async with write_side(command_database, redis_url) as ready:
        yield ready
