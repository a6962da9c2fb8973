"""The composition root of projector and rebuilds: settings in, tools out, opened and closed in order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg import AsyncConnection
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool

from query_service.features import PROJECTIONS
from query_service.infrastructure import schema
from query_service.infrastructure.feed import Feed
from query_service.infrastructure.projection import Projection
from query_service.projector.shift import Tools
from query_service.projector.status import Status
from query_service.settings import Settings
from shared_kernel.auth.secrets import derive
from shared_kernel.clock import SystemClock
from shared_kernel.errors import StartupRefused
from shared_kernel.events.registry import Registry, registry
from shared_kernel.messaging.client import redis_client
from shared_kernel.observability import Metrics
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.vault import KeyVault
from shared_kernel.process import require_database
from shared_kernel.settings import secret_bytes

SERVICE = "projector"
GC_THRESHOLD = 200_000
"""Higher than a server's: a batch makes many objects, and nearly all of them end with it."""

QUERY_OPTIONS = (
    "-c timezone=UTC -c lock_timeout=10s -c statement_timeout=120s -c idle_in_transaction_session_timeout=60s"
)

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@dataclass(frozen=True, slots=True)
class Equipment:
    """Everything that projecting needs, open."""

    tools: Tools
    registry: Registry
    keys: KeyVault
    metrics: Metrics


@asynccontextmanager
async def equipped(settings: Settings, *, projections: Sequence[Projection] = PROJECTIONS) -> AsyncIterator[Equipment]:
    """Raises Unreachable when a database is away, SchemaMismatch and StartupRefused."""
    if settings.redis_url is None:
        raise StartupRefused("The settings cannot be used: TWINLOG_REDIS_URL is missing.")
    async with AsyncExitStack() as stack:
        await require_database(settings.query_database_url, schema.check)
        await require_database(settings.vault_database_url, _any_schema)
        pool = await stack.enter_async_context(_pool(settings.query_database_url, 8, QUERY_OPTIONS))
        vault = await stack.enter_async_context(_pool(settings.vault_database_url, 2, "-c statement_timeout=10s"))
        keys = KeyVault(vault, Kek.parse(settings.kek.get_secret_value()))
        await keys.check()
        client = await stack.enter_async_context(redis_client(settings.redis_url))
        credential = derive(secret_bytes(settings.shared_secret), "feed")
        feed = Feed(settings.command_url, credential, authority=settings.tls_authority_file)
        stack.push_async_callback(feed.close)
        metrics = Metrics(SERVICE)
        tools = Tools(pool, client, feed, projections, Status(metrics, SystemClock()), asyncio.Event())
        yield Equipment(tools, registry(), keys, metrics)


async def _any_schema(_: AsyncConnection[Any]) -> None:
    """The vault checks its own."""


def _pool(url: str, size: int, options: str) -> Pool:
    return AsyncConnectionPool(
        url,
        min_size=1,
        max_size=size,
        timeout=5.0,
        kwargs={"autocommit": True, "options": options, "application_name": "twinlog-projector"},
        configure=prepare,
        open=False,
    )


async def prepare(connection: AsyncConnection[Any]) -> None:
    """Documents in rows are read with the fast parser."""
    set_json_loads(orjson.loads, connection)
