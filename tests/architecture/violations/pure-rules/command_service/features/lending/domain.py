"""A lending desk, planted to break a rule."""

import random
from datetime import UTC, datetime
from uuid import uuid4

import psycopg

from command_service.infrastructure.event_store import port
from shared_kernel.auth.principal import Principal


def lend(reader: Principal, store: port.EventStore) -> tuple[object, ...]:
    """Decides with a clock, a die and a database."""
    print(reader)
    return store, datetime.now(UTC), uuid4(), random.random(), psycopg.connect()
