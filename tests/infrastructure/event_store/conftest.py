"""What tests of the event store share: an open store on a database of their own."""

from collections.abc import AsyncIterator

import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from tests.infrastructure.event_store.given import TOPIC
from tests.support.cluster import Database


@pytest.fixture
async def store(command_database: Database) -> AsyncIterator[PostgresEventStore]:
    async with PostgresEventStore(command_database.app_url, topics={TOPIC}, patience=5.0) as opened:
        yield opened
