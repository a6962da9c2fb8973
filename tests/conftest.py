"""Fixtures every test can ask for: real engines, one set per test process, and databases that are a test's own."""

import functools
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import redis
import structlog
from hypothesis import HealthCheck, settings

from deploy.local.databases import COMMAND, QUERY, VAULT
from shared_kernel.observability import log_context
from tests.support.cluster import ENGINES, Cluster, Database, Vault, database_of, running_cluster, running_valkey
from tests.support.processes import wait_until
from tests.support.stack import READY_WITHIN, Stack, running_stack

if TYPE_CHECKING:
    from tests.support.command_side import CommandSide
    from tests.support.query_side import QuerySide

REAL_ENGINES = {"cluster", "valkey_url"}
REAL_PROCESSES = {"stack"}
LEVELS = ("unit", "integration", "e2e", "compose", "docker", "long")
WHOLE_STACK_SECONDS = 300
"""A stack is started, and waited for several times a minute, before such a test may be called hanging."""


def pytest_configure() -> None:
    """No test meets a setting of the shell that it is started from, nor loggers that remember an earlier test, and
    none is judged by how busy the machine is while examples are made.
    """
    settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("patient")
    structlog.configure = functools.partial(_configured_anew, structlog.configure)
    for name in [name for name in os.environ if name.startswith("TWINLOG_") and name != ENGINES]:
        del os.environ[name]


def _configured_anew(configure: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """In a process that lives for one purpose a logger may keep what it was first used with; here it may not."""
    configure(*arguments, **{**options, "cache_logger_on_first_use": False})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test its level by what it asks for, unless it says so itself, and those of whole stacks more time."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if not any(item.get_closest_marker(level) for level in LEVELS):
            level = "e2e" if fixtures & REAL_PROCESSES else "integration" if fixtures & REAL_ENGINES else "unit"
            item.add_marker(level)
        if item.get_closest_marker("e2e") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(WHOLE_STACK_SECONDS))


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """However a test configures logging, the next one does not inherit it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log_context.set({})
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The PostgreSQL server of this test process."""
    with running_cluster() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The Valkey server of this test process; ask for `redis_url` instead, which is empty."""
    with running_valkey() as url:
        yield url


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    """The stack of this test process; ask for `stack` instead, which is ready."""
    with running_stack() as found:
        yield found


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The whole pair, running as four processes with engines of its own, and ready whatever an earlier test did."""
    wait_until(running.is_ready, "the stack is ready", READY_WITHIN)
    return running


@pytest.fixture
def command_database(cluster: Cluster) -> Iterator[Database]:
    with cluster.copy_of(COMMAND) as name:
        yield database_of(cluster, COMMAND, name)


@pytest.fixture
def query_database(cluster: Cluster) -> Iterator[Database]:
    with cluster.copy_of(QUERY) as name:
        yield database_of(cluster, QUERY, name)


@pytest.fixture
def vault_database(cluster: Cluster) -> Iterator[Vault]:
    with cluster.copy_of(VAULT) as name:
        writer, reader = VAULT.users
        yield Vault(name, cluster.url(name, VAULT.owner), cluster.url(name, writer), cluster.url(name, reader))


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[str]:
    """The owner's URL of a database without any table."""
    with cluster.empty() as name:
        yield cluster.url(name, COMMAND.owner)


@pytest.fixture
def redis_url(valkey_url: str) -> str:
    """The URL of a Valkey server with nothing in it and no client but this test's."""
    with redis.Redis.from_url(valkey_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.flushall()
    return valkey_url


@pytest.fixture
async def query_side(query_database: Database, vault_database: Vault, redis_url: str) -> "AsyncIterator[QuerySide]":
    """The query API of this test, running, with a log that the test writes itself."""
    from tests.support.query_side import query_side_of  # noqa: PLC0415 - most tests need no service at all

    async with query_side_of(query_database, vault_database, redis_url) as side:
        yield side


@pytest.fixture
async def command_side(command_database: Database, vault_database: Vault) -> "AsyncIterator[CommandSide]":
    """The command API of this test, running on a port of its own."""
    from tests.support.command_side import command_side_of  # noqa: PLC0415 - most tests need no service at all

    async with command_side_of(command_database, vault_database) as side:
        yield side
