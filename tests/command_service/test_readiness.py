"""What the command service says, and answers, while a database is away; and that it comes back by itself."""

import asyncio

import httpx2
import psycopg
import pytest

from command_service.infrastructure.event_store.store import PostgresEventStore
from shared_kernel.events.registry import registry
from tests.support.cluster import Cluster, Database, Vault
from tests.support.command_side import CommandSide, command_side_of
from tests.support.waiting import eventually


def close(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.server_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))


def reopen(cluster: Cluster, name: str) -> None:
    with psycopg.connect(cluster.server_url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())


async def ready(command_side: CommandSide) -> tuple[int, dict[str, str]]:
    answer = await command_side.http.get("/readyz")
    return answer.status_code, answer.json()["checks"]


async def recovered(command_side: CommandSide) -> None:
    """Wait until the service says that it is ready again, by itself and soon."""
    async with asyncio.timeout(30):
        while (await ready(command_side))[0] != 200:  # noqa: ASYNC110 - what is asked runs elsewhere
            await asyncio.sleep(0.05)


async def test_away_vault_is_said_and_refuses_who_needs_it(
    command_side: CommandSide, vault_database: Vault, cluster: Cluster
) -> None:
    ada = await command_side.register()
    close(cluster, vault_database.name)
    status, checks = await ready(command_side)
    assert (status, checks["database"]) == (503, "ok")
    assert checks["vault"] not in {"", "ok"}
    body = {"email": "bob@example.com", "password": "winter-otter-plays-chess", "name": "Bob"}
    refused = await command_side.send("POST", "/v1/users", body)
    assert (refused.status_code, refused.json()["code"]) == (503, "service-unavailable")
    assert refused.headers["Retry-After"]
    assert (await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada)).status_code == 201
    reopen(cluster, vault_database.name)
    await recovered(command_side)
    assert (await command_side.send("POST", "/v1/users", body)).status_code == 201


async def test_away_log_is_said_and_refuses_everybody(
    command_database: Database, vault_database: Vault, cluster: Cluster
) -> None:
    store = PostgresEventStore(command_database.app_url, topics=registry().by_topic.keys())
    async with command_side_of(command_database, vault_database, log=store) as side:
        ada = await side.register()
        path = await side.create_resource(ada)
        store._appender._patience = store._pool.timeout = 1.0
        close(cluster, command_database.name)
        status, checks = await ready(side)
        assert (status, checks["vault"]) == (503, "ok")
        assert checks["database"] not in {"", "ok"}
        for method, target, body in (("POST", f"{path}/archive", None), ("POST", "/v1/resources", {"name": "x"})):
            refused = await side.send(method, target, body, by=ada)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
        reopen(cluster, command_database.name)
        store._appender._patience = store._pool.timeout = 10.0
        await recovered(side)

        async def archived() -> bool:
            return (await side.send("POST", f"{path}/archive", by=ada)).status_code == 200

        # What is known of ended sessions may grow too old just now, a moment before it is asked for again.
        await eventually(archived, "commands to be accepted again")


@pytest.mark.asvs("V15.2.2")
async def test_command_for_whom_no_place_is_left_is_503_and_told_when_to_come_back(
    command_database: Database, vault_database: Vault
) -> None:
    store = PostgresEventStore(command_database.app_url, topics=registry().by_topic.keys(), capacity=1)
    async with command_side_of(command_database, vault_database, log=store) as side:
        ada = await side.register()

        def create(name: str) -> asyncio.Task[httpx2.Response]:
            return asyncio.create_task(side.send("POST", "/v1/resources", {"name": name}, by=ada))

        async def somebody_waits_for_the_table() -> bool:
            return bool(await side.rows("SELECT pid FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted"))

        async with await psycopg.AsyncConnection.connect(command_database.owner_url) as blocker:
            await blocker.execute("LOCK TABLE events IN EXCLUSIVE MODE")
            accepted = [create("under way")]
            await eventually(somebody_waits_for_the_table, "an append under way")
            accepted.append(create("in the queue"))
            await eventually(lambda: store.waiting, "an append in the queue")
            refused = await create("too late")
        assert (refused.status_code, refused.json()["code"]) == (503, "store-busy")
        assert refused.headers["Retry-After"] == "1"
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert [answer.status_code for answer in await asyncio.gather(*accepted)] == [201, 201]
