"""The command side of a test: the real API over real HTTP, on databases that are the test's own."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
from psycopg.rows import dict_row

from command_service.app import create_app
from command_service.bootstrap import Services, bootstrap
from command_service.features.access.commands import CreateTenant
from command_service.infrastructure.call import Call
from command_service.settings import Settings
from shared_kernel.auth.elevation import ELEVATED
from shared_kernel.auth.principal import Principal
from shared_kernel.web.server import serve
from tests.support.cluster import Database, Vault
from tests.support.waiting import server_ended

PASSWORD = "winter-otter-plays-chess"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account; the token carries `roles`, whatever was granted."""

    id: UUID
    email: str
    tenant: str = "default"
    roles: tuple[str, ...] = ("member",)


@dataclass(frozen=True, slots=True)
class CommandSide:
    """Send commands with `send`, look into the database with `rows`."""

    services: Services
    http: httpx2.AsyncClient
    database: Database

    async def send(
        self, method: str, path: str, body: Any = None, *, by: Person | None = None, **headers: str
    ) -> httpx2.Response:
        """Header names are written with underscores: `If_Match='"1"'`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if by is not None:
            given.setdefault("Authorization", f"Bearer {self.access_token(by)}")
        return await self.http.request(method, path, json=body, headers=given)

    async def sign_in(self, form: Mapping[str, str], **headers: str) -> httpx2.Response:
        return await self.http.post("/v1/token", data=dict(form), headers=headers)

    async def register(
        self, name: str = "Ada", *, tenant: str = "default", roles: Sequence[str] = ("member",)
    ) -> Person:
        """A new account with an address of its own."""
        email = f"{name.lower()}-{uuid4().hex[:8]}@example.com"
        body = {"email": email, "password": PASSWORD, "name": name}
        answer = await self.send("POST", "/v1/users", body, Tenant=tenant)
        assert answer.status_code == 201, answer.text
        return Person(UUID(answer.json()["id"]), email, tenant, tuple(roles))

    async def create_tenant(self, slug: str) -> None:
        await self.services.access.create_tenant(CreateTenant(slug), Call.of_system(slug, "test"))

    async def create_resource(self, owner: Person, name: str = "orjson", **details: Any) -> str:
        """The path of a new resource."""
        answer = await self.send("POST", "/v1/resources", {"name": name, **details}, by=owner)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["Location"])

    def access_token(self, person: Person, at: datetime | None = None, acr: str = ELEVATED) -> str:
        """As after a step-up, unless told otherwise."""
        now = at or datetime.now(UTC)
        principal = Principal(
            person.id, person.tenant, UUID(int=person.id.int ^ 1), person.roles, acr, int(now.timestamp())
        )
        return self.services.signer.sign(principal, jti=str(uuid4()), now=now)

    async def rows(self, query: str, *params: Any) -> list[dict[str, Any]]:
        """Look into the command database as its owner."""
        return await self.rows_of(self.database.owner_url, query, *params)

    async def rows_of(self, url: str, query: str, *params: Any) -> list[dict[str, Any]]:
        """Look into (or interfere with) any database."""
        async with (
            await psycopg.AsyncConnection.connect(url) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(query.encode(), params)
            return await cursor.fetchall()

    async def topics_of(self, path: str) -> list[str]:
        """What has happened to the object at this path, oldest first, as bare event names."""
        stream = path.removeprefix("/v1/").replace("/", "-", 1)
        found = await self.rows("SELECT topic FROM events WHERE stream = %s ORDER BY version", stream)
        return [row["topic"].split(".")[1] for row in found]


def settings_of(command: Database, vault: Vault, **further: Any) -> Settings:
    given: dict[str, Any] = {"command_database_url": command.app_url, "vault_database_url": vault.writer_url, **further}
    return Settings(env="development", **given)


@asynccontextmanager
async def command_side_of(
    command: Database, vault: Vault, settings: Mapping[str, Any] | None = None, **overrides: Any
) -> AsyncIterator[CommandSide]:
    """Boot through the composition root, serve on a free port, stop at the end."""
    services = bootstrap(settings_of(command, vault, **(settings or {})), **overrides)
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(create_app(services), "127.0.0.1", 0, started=port.set_result))
    try:
        await asyncio.wait((port, serving), return_when=asyncio.FIRST_COMPLETED)
        if not port.done():
            await serving  # raises why it could not start
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port.result()}", timeout=20) as http:
            yield CommandSide(services, http, command)
    finally:
        await server_ended(serving)
