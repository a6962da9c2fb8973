"""A pair on engines of its own, each of which can be stopped, copied, and put back as it was: for restore drills."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from deploy.local import lodging
from deploy.local.databases import COMMAND, QUERY, VAULT
from deploy.local.engine import Engine
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey
from tests.support.cluster import Cluster, Database, Vault, database_of
from tests.support.command_process import CommandProcess, command_process, variables_of
from tests.support.places import open_folder
from tests.support.processes import wait_until
from tests.support.stack import twinlog

SERVICES = {
    "command": "command_service",
    "relay": "command_service.relay",
    "query": "query_service",
    "projector": "query_service.projector",
}


@dataclass
class Drill:
    """Engines by name (`log`, `read-models`, `redis`), services by name, and how to reach them."""

    engines: dict[str, Engine]
    command: Database
    query: Database
    variables: dict[str, str]
    services: dict[str, CommandProcess] = field(default_factory=dict)

    def backup(self, name: str) -> Path:
        """Stop an engine, copy its data folder, start it again."""
        engine = self.engines[name]
        engine.stop()
        copy = engine.folder / f"backup-{len(list(engine.folder.glob('backup-*')))}"
        _copy(_data(engine), copy)
        engine.start()
        return copy

    def restore(self, name: str, copy: Path) -> None:
        """Stop an engine, put a copy in the place of its data folder, start it again."""
        engine = self.engines[name]
        engine.stop()
        shutil.rmtree(_data(engine))
        _copy(copy, _data(engine))
        engine.start()

    def readiness(self, service: str) -> dict[str, str]:
        """What is wrong with a service, by check."""
        try:
            checks = httpx2.get(f"{self.services[service].url}/readyz", timeout=5).json()["checks"]
        except httpx2.TransportError as error:
            return {"process": type(error).__name__}
        return {name: said for name, said in checks.items() if said != "ok"}

    async def says(self, service: str, check: str, words: str) -> None:
        await asyncio.to_thread(
            wait_until, lambda: words in self.readiness(service).get(check, ""), f"{service} says {words!r}"
        )

    async def is_well(self) -> None:
        """All four services are ready."""
        for service in SERVICES:
            await asyncio.to_thread(wait_until, lambda: not self.readiness(service), f"{service} is ready")  # noqa: B023 - awaited at once

    async def twinlog(self, *words: str) -> tuple[int, dict[str, Any]]:
        """A command of an operator: exit code and answer."""
        done = await asyncio.to_thread(twinlog, *words, "--json", variables=self.variables)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def rows(self, database: Database, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(database.owner_url) as connection:
            return connection.execute(query.encode()).fetchall()


def _data(engine: Engine) -> Path:
    return lodging.recorded_home(engine.folder) / "data"


def _copy(source: Path, target: Path) -> None:
    """With owners and rights, as the engine runs as another user when we are root."""
    subprocess.run(["cp", "-a", os.fspath(source), os.fspath(target)], check=True)


@contextmanager
def running_drill() -> Iterator[Drill]:
    """Three engines, three databases, four processes."""
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder())
        engines = {
            "log": EmbeddedPostgres(folder / "log", durable=False),
            "read-models": EmbeddedPostgres(folder / "read-models", durable=False),
            "redis": EmbeddedValkey(folder / "redis"),
        }
        urls = {name: engine.start() for name, engine in engines.items()}
        for engine in engines.values():
            stack.callback(engine.stop)
        log, models = Cluster(urls["log"]), Cluster(urls["read-models"])
        command, query = _database(stack, log, COMMAND), _database(stack, models, QUERY)
        vault = _vault(stack, models)
        drill = Drill(engines, command, query, _variables(command, query, vault, urls["redis"]))
        drill.services["command"] = _service(stack, command, vault, urls["redis"], "command")
        drill.variables["TWINLOG_COMMAND_URL"] = drill.services["command"].url
        drill.services["relay"] = _service(stack, command, vault, urls["redis"], "relay")
        for name in ("query", "projector"):
            reading = {
                **drill.variables,
                "TWINLOG_VAULT_DATABASE_URL": vault.reader_url,
                "TWINLOG_QUERY_PORT": "0",
                "TWINLOG_PROJECTOR_PORT": "0",
            }
            drill.services[name] = stack.enter_context(command_process(reading, SERVICES[name]))
        drill.variables |= {f"TWINLOG_{name.upper()}_URL": each.url for name, each in drill.services.items()}
        yield drill


def _database(stack: ExitStack, cluster: Cluster, plan: Any) -> Database:
    name = stack.enter_context(cluster.copy_of(plan))
    return database_of(cluster, plan, name)


def _vault(stack: ExitStack, cluster: Cluster) -> Vault:
    name = stack.enter_context(cluster.copy_of(VAULT))
    writer, reader = VAULT.users
    return Vault(name, cluster.url(name, VAULT.owner), cluster.url(name, writer), cluster.url(name, reader))


def _service(stack: ExitStack, command: Database, vault: Vault, redis_url: str, name: str) -> CommandProcess:
    settings = variables_of(command, vault, TWINLOG_REDIS_URL=redis_url, TWINLOG_RELAY_PORT="0")
    return stack.enter_context(command_process(settings, SERVICES[name]))


def _variables(command: Database, query: Database, vault: Vault, redis_url: str) -> dict[str, str]:
    """What an operator's shell knows."""
    return {
        "TWINLOG_ENV": "development",
        "TWINLOG_COMMAND_OWNER_URL": command.owner_url,
        "TWINLOG_COMMAND_DATABASE_URL": command.app_url,
        "TWINLOG_QUERY_DATABASE_URL": query.app_url,
        "TWINLOG_QUERY_READER_URL": query.reader_url,
        "TWINLOG_VAULT_DATABASE_URL": vault.writer_url,
        "TWINLOG_REDIS_URL": redis_url,
    }
