"""What tests of the event store share: an open store on a database of their own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from deploy.local.engines import EmbeddedPostgres
from tests.infrastructure.event_store.given import TOPIC
from tests.support.cluster import Cluster, Database
from tests.support.places import open_folder


@pytest.fixture
async def store(command_database: Database) -> AsyncIterator[PostgresEventStore]:
    async with PostgresEventStore(command_database.app_url, topics={TOPIC}, patience=30.0) as opened:
        yield opened


@pytest.fixture
def durable_cluster() -> Iterator[Cluster]:
    """A server that keeps its promises, for figures that are to be believed."""
    with open_folder() as folder:
        engine = EmbeddedPostgres(folder / "engine", durable=True)
        try:
            yield Cluster(engine.start())
        finally:
            engine.stop()
