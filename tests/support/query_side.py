"""The query side of a test: the real query API over real stores, fed by the real engine from a log in memory."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import structlog
from fastapi import FastAPI, Response
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from query_service.app import create_app
from query_service.bootstrap import Services, bootstrap
from query_service.features import PROJECTIONS
from query_service.infrastructure.feed import Feed
from query_service.projector import generations
from query_service.projector.batch import Slice
from query_service.projector.decoding import Decoder
from query_service.projector.engine import Engine
from query_service.settings import Settings
from shared_kernel.auth.jwks import RemoteKeys
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.secrets import derive
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from shared_kernel.clock import microseconds
from shared_kernel.events.access import TenantCreated
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import JSON, Metadata, StoredRow
from shared_kernel.events.leaf import LEAF_VERSION, leaf_hash
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceCreated
from shared_kernel.messaging.consistency import ConsistencyToken
from shared_kernel.messaging.feed import EPOCH_HEADER, FEED_PATH, HEAD_HEADER, PARTITIONS_HEADER, encode
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.messaging.partition import partition_of, slot_of
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from shared_kernel.rates.limiter import Limiter
from shared_kernel.settings import secret_bytes
from tests.support.cluster import Database, Vault

PARTITIONS = 4
EPOCH = 1
TENANT = "acme"
URL = "http://query.test"
DAWN = datetime(2026, 3, 12, 6, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may ask: the token carries tenant and roles."""

    id: UUID
    tenant: str = TENANT
    roles: tuple[str, ...] = ("member",)
    roles_version: int = 0

    @property
    def session(self) -> UUID:
        return UUID(int=self.id.int ^ 1)


@dataclass(slots=True)
class Log:
    """A log of our own making, sound down to the leaf hashes."""

    codec: PayloadCodec
    vault: KeyVault
    rows: list[StoredRow] = field(default_factory=list)

    @property
    def head(self) -> int:
        return len(self.rows)

    async def append(
        self, stream: str, event: Event, *, tenant: str = TENANT, actor: str = "system:test", at: datetime | None = None
    ) -> int:
        """The event's position; `at` is when the log records it (minutes after dawn by position, unless told)."""
        position = self.head + 1
        version = 1 + sum((row.tenant, row.stream) == (tenant, stream) for row in self.rows)
        key = await self.vault.make_key(tenant, event.subject) if event.subject else None
        at = at or DAWN + timedelta(minutes=position)
        metadata = Metadata(actor=actor, correlation_id=f"c-{position}", occurred_at=at.isoformat())
        payload = self.codec.encode(event, tenant=tenant, stream=stream, version=version, key=key)
        return self.keep(tenant, stream, event.TOPIC, payload, metadata.encode(), at=at)

    def keep(
        self, tenant: str, stream: str, topic: str, payload: bytes, metadata: bytes, *, at: datetime = DAWN
    ) -> int:
        """Record bytes as they are; their position."""
        facts: dict[str, Any] = {
            "position": self.head + 1,
            "tenant": tenant,
            "tenant_seq": 1 + sum(row.tenant == tenant for row in self.rows),
            "stream": stream,
            "version": 1 + sum((row.tenant, row.stream) == (tenant, stream) for row in self.rows),
            "topic": topic,
            "payload_format": JSON,
            "event_id": uuid4(),
            "recorded_at": microseconds(at),
            "metadata": metadata,
            "payload": payload,
        }
        leaf = leaf_hash(**facts)
        self.rows.append(StoredRow(**facts, slot=slot_of(tenant, stream), leaf_version=LEAF_VERSION, leaf_hash=leaf))
        return self.head

    def partition(self, number: int) -> Sequence[StoredRow]:
        return [row for row in self.rows if partition_of(row.slot, PARTITIONS) == number]


@dataclass(slots=True)
class QuerySide:
    """Write to `log`, then `catch_up`, then `get`; `project` and `publish_mark` are what catching up is made of."""

    services: Services
    app: FastAPI
    http: httpx2.AsyncClient
    redis: Redis
    log: Log
    signer: TokenSigner
    database_url: str
    reader_url: str
    database_owner_url: str
    vault_owner_url: str
    token_key: bytes
    engine: Engine
    done: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))

    async def catch_up(self) -> None:
        """Project everything and let the API know, as relay and projector would."""
        await self.project()
        await self.publish_mark()
        await self.services.freshness.refresh()

    async def project(self, *partitions: int) -> None:
        """Feed what these partitions (or all) have not seen yet to the engine."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            for number in partitions or range(PARTITIONS):
                rows = [row for row in self.log.partition(number) if row.position > self.done[number]]
                if rows:
                    ready = await self.engine.prepare(Slice(number, self.done[number], EPOCH, rows))
                    await self.engine.apply(connection, [ready])
                    self.done[number] = rows[-1].position

    async def publish_mark(self, *, epoch: int = EPOCH) -> None:
        last = tuple(max((row.position for row in self.log.partition(n)), default=0) for n in range(PARTITIONS))
        mark = Mark(epoch, self.log.head, last, microseconds(datetime.now(UTC)))
        await self.redis.set(MARK_KEY, mark.encode())

    def consistency_token(self, position: int, *, epoch: int = EPOCH) -> str:
        """What a command that wrote the event at this position would have answered."""
        row = self.log.rows[position - 1]
        return ConsistencyToken(epoch, position, row.tenant, row.stream).seal(self.token_key)

    def access_token(self, person: Person) -> str:
        now = datetime.now(UTC)
        principal = Principal(
            person.id, person.tenant, person.session, person.roles, "pwd", int(now.timestamp()), person.roles_version
        )
        return self.signer.sign(principal, jti=str(uuid4()), now=now)

    async def get(
        self, path: str, person: Person | None = None, headers: Mapping[str, str] | None = None, **params: Any
    ) -> httpx2.Response:
        signed_in = {"Authorization": f"Bearer {self.access_token(person)}"} if person else {}
        return await self.http.get(path, headers={**signed_in, **(headers or {})}, params=params or None)

    async def pages(self, path: str, person: Person, **params: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """Follow `Link` from page to page."""
        answer = await self.get(path, person, **params)
        while True:
            assert answer.status_code == 200, answer.text
            yield answer.json()["items"]
            link = answer.headers.get("Link")
            if link is None:
                return
            assert link.endswith('; rel="next"')
            answer = await self.get(link[1 : link.index(">")], person)

    async def sql(self, statement: str, *params: Any) -> None:
        """Change the query database as its run-time role."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute(statement.encode(), params)

    async def destroy_key(self, person: Person) -> None:
        """What erasure does to the vault, and to the caches of every process soon after."""
        async with await psycopg.AsyncConnection.connect(self.vault_owner_url) as connection:
            named = (person.tenant, str(person.id))
            await connection.execute("INSERT INTO erased_subjects (tenant, subject) VALUES (%s, %s)", named)
            await connection.execute("DELETE FROM subject_keys WHERE tenant = %s AND subject = %s", named)
        self.services.vault.evict(*named)

    async def register(self, person: Person, name: str = "Ada", email: str = "ada@example.org") -> int:
        event = UserRegistered(user_id=person.id, email=email, name=name, password_hash="$argon2id$secret")
        return await self.log.append(f"users-{person.id}", event, tenant=person.tenant, actor=str(person.id))

    async def create(self, owner: Person, name: str = "orjson", **details: Any) -> UUID:
        """Record the creation of a resource; its id."""
        resource_id = uuid4()
        given = {"description": "", "classification": "internal", "attributes": {}, "tags": (), **details}
        created = ResourceCreated(resource_id=resource_id, owner=owner.id, name=name, **given)
        await self.log.append(f"resources-{resource_id}", created, tenant=owner.tenant, actor=str(owner.id))
        return resource_id

    async def create_tenant(self, slug: str = TENANT) -> int:
        return await self.log.append(f"tenants-{slug}", TenantCreated(slug=slug), tenant=slug)


def settings_of(query: Database, vault: Vault, redis_url: str, **further: Any) -> Settings:
    usual = {"query_database_url": query.app_url, "query_reader_url": query.reader_url}
    usual |= {"vault_database_url": vault.reader_url, "redis_url": redis_url}
    return Settings(env="development", **{**usual, **further})


def keys_of(signer: TokenSigner) -> RemoteKeys:
    """The published keys, over HTTP from an application that serves nothing else."""
    command = FastAPI()
    command.get("/.well-known/jwks.json")(signer.jwks)
    return RemoteKeys(URL, httpx2.AsyncClient(transport=httpx2.ASGITransport(app=command)))


def feed_of(rows: Sequence[StoredRow]) -> Feed:
    """The feed of a log in memory, over HTTP: no relay runs here, so it tells which sessions have ended."""
    command = FastAPI()

    @command.get(FEED_PATH)
    async def feed(after: int, limit: int) -> Response:
        facts = {EPOCH_HEADER: str(EPOCH), HEAD_HEADER: str(len(rows)), PARTITIONS_HEADER: str(PARTITIONS)}
        return Response(b"".join(map(encode, rows[after : after + limit])), headers=facts)

    return Feed(URL, b"", transport=httpx2.ASGITransport(app=command))


@contextmanager
def quiet() -> Iterator[None]:
    """Expected refusals need no traceback in colour: only errors are logged meanwhile."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    finally:
        structlog.configure(**before)


@asynccontextmanager
async def query_side_of(
    query: Database, vault: Vault, redis_url: str, *, limiter: Limiter | None = None, **further: Any
) -> AsyncIterator[QuerySide]:
    """A running query API on these stores, with an empty log; `vault` is written as the command service would."""
    signer = TokenSigner(SigningKey.from_pem(SigningKey.generate_pem()))
    settings = settings_of(query, vault, redis_url, **further)
    rows: list[StoredRow] = []
    services = bootstrap(settings, keys=keys_of(signer), feed=feed_of(rows), limiter=limiter)
    app = create_app(services)
    async with await psycopg.AsyncConnection.connect(query.app_url, autocommit=True) as connection:
        await generations.register(connection, PROJECTIONS, EPOCH, PARTITIONS)
    codec = PayloadCodec(registry())
    writing = AsyncConnectionPool(vault.writer_url, min_size=1, max_size=1, kwargs={"autocommit": True}, open=False)
    transport = httpx2.ASGITransport(app=app)
    async with AsyncExitStack() as stack:
        stack.enter_context(quiet())
        await stack.enter_async_context(writing)
        redis = await stack.enter_async_context(Redis.from_url(redis_url))
        await stack.enter_async_context(app.router.lifespan_context(app))
        http = await stack.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=URL))
        keys = KeyVault(writing, services.vault._kek, cache_seconds=0)
        wanted = frozenset(event for projection in PROJECTIONS for event in projection.folds)
        yield QuerySide(
            services=services,
            app=app,
            http=http,
            redis=redis,
            log=Log(codec, keys, rows),
            signer=signer,
            database_url=query.app_url,
            reader_url=query.reader_url,
            database_owner_url=query.owner_url,
            vault_owner_url=vault.owner_url,
            token_key=derive(secret_bytes(settings.shared_secret), "consistency-token"),
            engine=Engine(PROJECTIONS, Decoder(registry(), codec, keys, wanted), PARTITIONS),
        )
