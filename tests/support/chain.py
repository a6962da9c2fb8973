"""All processes that an event passes, from the log to a row: command service, relay, projector, and real stores."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from typer.testing import CliRunner

from command_service.infrastructure.event_store.port import Append, NewEvent
from command_service.infrastructure.event_store.store import PostgresEventStore
from query_service.cli import app
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceArchived, ResourceCreated
from tests.support.cluster import Database, Vault
from tests.support.command_process import CommandProcess, command_process
from tests.support.command_process import variables_of as command_variables
from tests.support.history import METADATA
from tests.support.processes import wait_until

PROJECTOR = "query_service.projector"


def projector_variables(query: Database, vault: Vault, redis_url: str) -> dict[str, str]:
    """Settings of a projector whose command service is not there yet."""
    return {
        "TWINLOG_ENV": "development",
        "TWINLOG_QUERY_DATABASE_URL": query.app_url,
        "TWINLOG_VAULT_DATABASE_URL": vault.reader_url,
        "TWINLOG_REDIS_URL": redis_url,
        "TWINLOG_COMMAND_URL": "http://127.0.0.1:1",
        "TWINLOG_PROJECTOR_PORT": "0",
    }


def created_as(resource: UUID, name: str) -> ResourceCreated:
    return ResourceCreated(
        resource_id=resource,
        owner=uuid4(),
        name=name,
        description="",
        classification="internal",
        attributes={"n": len(name)},
        tags=("a", "b"),
    )


@dataclass(slots=True)
class Chain:
    """All processes that an event passes."""

    store: PostgresEventStore
    store_url: str
    query_database: Database
    variables: dict[str, str]
    relay: CommandProcess
    projector: CommandProcess

    async def append(self, count: int) -> None:
        """New resources, every second one archived at once."""
        await asyncio.gather(*(self._append(number) for number in range(count)))

    async def _append(self, number: int) -> None:
        resource = uuid4()
        created = created_as(resource, f"r{number}")
        archived = (ResourceArchived(resource_id=resource),) if number % 2 else ()
        events = tuple(
            NewEvent(uuid4(), event.TOPIC, event.model_dump_json().encode(), METADATA) for event in (created, *archived)
        )
        await self.store.append(Append("default", f"resources-{resource}", 0, events))

    def rows(self) -> int:
        with psycopg.connect(self.query_database.app_url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM blue.resources").fetchone() or (0,)
            return int(count)

    async def shows(self, rows: int) -> None:
        await asyncio.to_thread(wait_until, lambda: self.rows() == rows, f"{rows} resources are shown")

    async def parks(self, streams: int) -> None:
        await asyncio.to_thread(wait_until, lambda: self._parked() == streams, f"{streams} streams are parked")

    def _parked(self) -> int:
        with psycopg.connect(self.query_database.app_url) as connection:
            (count,) = connection.execute("SELECT count(DISTINCT stream) FROM parked_events").fetchone() or (0,)
            return int(count)

    async def twinlog(self, *words: str) -> tuple[int, dict[str, Any]]:
        return await asyncio.to_thread(run_twinlog, self.variables, *words)


def run_twinlog(variables: dict[str, str], *words: str) -> tuple[int, dict[str, Any]]:
    """A command of an operator: exit code and answer."""
    mine = {name: None for name in os.environ if name.startswith("TWINLOG_")}
    done = CliRunner(env={**mine, **variables}).invoke(app, [*words, "--json"])
    assert done.stderr == ""
    return done.exit_code, json.loads(done.stdout)


def said_by_twinlog(variables: dict[str, str], *words: str) -> tuple[str, str]:
    """What a person reads on a wide terminal: the result, and what was told meanwhile."""
    mine = {name: None for name in os.environ if name.startswith("TWINLOG_")}
    done = CliRunner(env={**mine, **variables, "COLUMNS": "200"}).invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


@asynccontextmanager
async def running_chain(
    command_database: Database, query_database: Database, vault_database: Vault, variables: dict[str, str]
) -> AsyncIterator[Chain]:
    """Start everything; `variables` come to name the command service."""
    relayed = {"TWINLOG_REDIS_URL": variables["TWINLOG_REDIS_URL"], "TWINLOG_RELAY_PORT": "0"}
    settings = command_variables(command_database, vault_database, **relayed)
    with ExitStack() as stack:
        command = stack.enter_context(command_process(settings))
        variables |= {"TWINLOG_COMMAND_URL": command.url}
        relay = stack.enter_context(command_process(settings, "command_service.relay"))
        projector = stack.enter_context(command_process(variables, PROJECTOR))
        async with PostgresEventStore(command_database.app_url, topics=registry().by_topic.keys()) as store:
            yield Chain(store, command_database.app_url, query_database, variables, relay, projector)
