"""One real PostgreSQL server per test process, and databases copied from migrated templates in milliseconds."""

import importlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import psycopg

from deploy.local.databases import (
    COMMAND,
    QUERY,
    ROLES,
    VAULT,
    Plan,
    create_database,
    drop_database,
    ensure_roles,
    restrict,
    url_for,
)
from deploy.local.engine import Engine
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey
from deploy.local.ports import LOOPBACK
from tests.support.places import open_folder

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

PASSWORD = "for-tests-only"
ENGINES = "TWINLOG_TEST_ENGINES"
"""The variable that chooses where engines come from: `containers`, or else the wheels."""


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of one service, this test's own."""

    name: str
    owner_url: str
    app_url: str
    reader_url: str = ""


@dataclass(frozen=True, slots=True)
class Vault:
    """A migrated key vault, this test's own."""

    name: str
    owner_url: str
    writer_url: str
    reader_url: str


def database_of(cluster: "Cluster", plan: Plan, name: str) -> Database:
    """The ways into a database of this plan; only the query database has a reader besides."""
    users = [cluster.url(name, user) for user in plan.users]
    return Database(name, cluster.url(name, plan.owner), *users)


def migrate(plan: Plan, owner_url: str) -> None:
    """Bring a database to head with the functions that the services themselves offer."""
    module = {
        COMMAND.name: "command_service.infrastructure.schema",
        QUERY.name: "query_service.infrastructure.schema",
        VAULT.name: "command_service.infrastructure.vault_schema",
    }[plan.name]
    upgrade: Callable[..., None] = importlib.import_module(module).upgrade
    upgrade(owner_url, *plan.users)


class Cluster:
    """The server, its roles, and templates that are made when first asked for."""

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self._numbers = itertools.count(1)
        self._templates: dict[str, str] = {}
        with self._admin() as admin:
            ensure_roles(admin, dict.fromkeys(ROLES, PASSWORD))

    def url(self, database: str, role: str) -> str:
        return url_for(self.server_url, database, role, PASSWORD)

    @contextmanager
    def copy_of(self, plan: Plan) -> Iterator[str]:
        """A fresh copy of a migrated database; it is dropped at the end, whoever is still connected."""
        template = self._templates.get(plan.name) or self._make_template(plan)
        with self._database(plan, template) as name:
            yield name

    @contextmanager
    def empty(self, plan: Plan = COMMAND) -> Iterator[str]:
        """A fresh database without any table, with the owner and the users of this plan."""
        with self._database(plan, "template0") as name:
            yield name

    @contextmanager
    def _database(self, plan: Plan, template: str) -> Iterator[str]:
        mine = replace(plan, name=f"{plan.name}_{next(self._numbers)}")
        with self._admin() as admin:
            create_database(admin, mine, template)
            restrict(admin, mine)
        yield mine.name
        with self._admin() as admin:
            drop_database(admin, mine.name)

    def _make_template(self, plan: Plan) -> str:
        with self._admin() as admin:
            drop_database(admin, plan.name)  # what a failed attempt left behind
            create_database(admin, plan)
            restrict(admin, plan)
        migrate(plan, self.url(plan.name, plan.owner))
        self._templates[plan.name] = plan.name
        return plan.name

    def _admin(self) -> psycopg.Connection:
        return psycopg.connect(self.server_url, autocommit=True)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """The server that tests share; its data need not survive a crash of the machine."""
    with _postgres_container() if _wants_containers() else _embedded(EmbeddedPostgres) as url:
        yield Cluster(url)


@contextmanager
def running_valkey() -> Iterator[str]:
    """A server that forgets; yields its URL."""
    with _redis_container() if _wants_containers() else _embedded(EmbeddedValkey) as url:
        yield url


@contextmanager
def _embedded(kind: type[Engine]) -> Iterator[str]:
    with open_folder() as folder:
        engine = kind(folder / "engine", durable=False)
        try:
            yield engine.start()
        finally:
            engine.stop()


def _wants_containers() -> bool:
    return os.environ.get(ENGINES) == "containers"


@contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - looks for Docker when imported

    with PostgresContainer("postgres:17", username="postgres", password=PASSWORD, dbname="postgres", driver=None) as it:
        yield it.get_connection_url(host=_host(it, 5432))


@contextmanager
def _redis_container() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - looks for Docker when imported
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - the same

    server = DockerContainer("redis:8").with_command(["redis-server", "--requirepass", PASSWORD])
    with server.with_exposed_ports(6379).waiting_for(LogMessageWaitStrategy("Ready to accept connections")) as it:
        yield f"redis://:{PASSWORD}@{_host(it, 6379)}:{it.get_exposed_port(6379)}/0"


def _host(container: "DockerContainer", port: int) -> str:
    """Loopback if the published port answers there: it is the only network that tests may use from Python."""
    with suppress(OSError), socket.create_connection((LOOPBACK, int(container.get_exposed_port(port))), timeout=2):
        return LOOPBACK
    return container.get_container_host_ip()
