"""Connections as the doctor has them."""

from collections.abc import Iterator

import pytest

from deploy.doctor.connecting import Connection, connect
from tests.support.cluster import Database


@pytest.fixture
def command(command_database: Database) -> Iterator[Connection]:
    with connect(command_database.app_url) as connection:
        yield connection


@pytest.fixture
def query(query_database: Database) -> Iterator[Connection]:
    with connect(query_database.app_url) as connection:
        yield connection
