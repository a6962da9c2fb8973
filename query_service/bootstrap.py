"""The composition root of the query API: settings in, services out, every part replaceable by name.

Tests boot through here too; the projector has a root of its own beside its loop.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from query_service.features import FEATURES, PROJECTIONS
from query_service.infrastructure import schema
from query_service.infrastructure.audit_log import EventReader
from query_service.infrastructure.database import Database
from query_service.infrastructure.denials import Denials
from query_service.infrastructure.feed import Feed
from query_service.infrastructure.freshness import Freshness
from query_service.infrastructure.health import measure, readiness_of
from query_service.infrastructure.pagination import Cursors
from query_service.infrastructure.policies import PolicyReader
from query_service.settings import Settings
from shared_kernel.auth.jwks import RemoteKeys, RemoteVerifier
from shared_kernel.auth.outside.issuer import load_issuers
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.secrets import derive
from shared_kernel.auth.tenant_policies import TenantPolicies
from shared_kernel.clock import Clock, SystemClock
from shared_kernel.errors import StartupRefused
from shared_kernel.events.registry import registry
from shared_kernel.gate import Gate
from shared_kernel.messaging.client import redis_client
from shared_kernel.observability import Metrics
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault, Pool
from shared_kernel.process import require_database, require_redis
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.requests import Pseudonyms, RequestQuotas, RequestRates
from shared_kernel.settings import secret_bytes

SERVICE = "query"
REDIS_SECONDS = 2.0
VAULT_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes of this service can reach, and its life from opening to closing."""

    settings: Settings
    metrics: Metrics
    database: Database
    redis: Redis
    vault_pool: Pool
    vault: KeyVault
    keys: RemoteKeys
    freshness: Freshness
    feed: Feed
    denials: Denials
    policies: PolicyEngine
    cursors: Cursors
    events: EventReader
    rates: RequestRates
    gate: Gate

    async def readiness(self) -> Mapping[str, str]:
        found = await readiness_of(self.database, self.freshness, self.keys)
        return {**found, "denials": self.denials.known.trouble}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything, close it in the reverse order.

        Raises Unreachable when a database or Redis is away, SchemaMismatch when a schema is not this release's.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.keys.aclose)
            stack.push_async_callback(self.gate.close)
            stack.push_async_callback(self.redis.aclose)
            stack.push_async_callback(self.rates.limiter.close)
            await require_database(self.settings.asking_url, schema.check)
            await require_database(self.settings.vault_database_url, _no_check)
            await require_redis(self.redis, str(self.settings.redis_url))
            for pool in (self.database.pool, self.vault_pool):
                stack.push_async_callback(pool.close)
                await pool.open(wait=True)
            await self.vault.check()
            stack.push_async_callback(self.freshness.stop)
            await self.freshness.start()
            stack.push_async_callback(self.feed.close)
            stack.push_async_callback(self.denials.stop)
            await self.denials.start()
            yield


def bootstrap(
    settings: Settings,
    *,
    clock: Clock | None = None,
    metrics: Metrics | None = None,
    redis: Redis | None = None,
    keys: RemoteKeys | None = None,
    feed: Feed | None = None,
    policies: PolicyEngine | None = None,
    limiter: Limiter | None = None,
) -> Services:
    """Wire the query service; nothing is connected before `running`. Raises StartupRefused."""
    secret = secret_bytes(settings.shared_secret)
    database = Database(settings.asking_url)
    redis = redis or _redis(settings)
    vault_pool = _vault_pool(settings)
    vault = KeyVault(vault_pool, Kek.parse(settings.kek.get_secret_value()))
    keys, policies = keys or _remote_keys(settings), policies or _shipped_policies()
    freshness = Freshness(database, redis, derive(secret, "consistency-token"))
    feed = feed or Feed(settings.command_url, derive(secret, "feed"), authority=settings.tls_authority_file)
    denials = _news(database, freshness, feed, policies)
    metrics = _measured(metrics, freshness)
    rates = _rates(settings, limiter, metrics)
    return Services(
        settings=settings,
        metrics=metrics,
        database=database,
        redis=redis,
        vault_pool=vault_pool,
        vault=vault,
        keys=keys,
        freshness=freshness,
        feed=feed,
        denials=denials,
        policies=policies,
        cursors=Cursors(derive(secret, "cursor")),
        events=EventReader(PayloadCodec(registry()), vault),
        rates=rates,
        gate=_gate(settings, keys, policies=policies, denials=denials, rates=rates, clock=clock or SystemClock()),
    )


def _news(database: Database, freshness: Freshness, feed: Feed, policies: PolicyEngine) -> Denials:
    reader = PolicyReader(TenantPolicies(policies), PayloadCodec(registry()), database, feed)
    return Denials(database, freshness, feed, reader)


def _measured(metrics: Metrics | None, freshness: Freshness) -> Metrics:
    metrics = metrics or Metrics(SERVICE)
    measure(metrics, freshness, (schema.AUDIT_COPY, *(projection.name for projection in PROJECTIONS)))
    return metrics


def _gate(
    settings: Settings,
    keys: RemoteKeys,
    *,
    policies: PolicyEngine,
    denials: Denials,
    rates: RequestRates,
    clock: Clock,
) -> Gate:
    outside = OutsideIssuers(load_issuers(settings.outside_issuers_file))
    verify = RemoteVerifier(keys, settings.issuer).verify
    return Gate(verify, outside, policies=policies, denials=denials.known, rates=rates, clock=clock)


def _rates(settings: Settings, limiter: Limiter | None, metrics: Metrics) -> RequestRates:
    limiter = limiter or Limiter.at(settings.redis_url, settings.rate_processes)
    quotas = RequestQuotas.parse(address=settings.rate_address, user=settings.rate_user, tenant=settings.rate_tenant)
    pseudonyms = Pseudonyms(derive(secret_bytes(settings.shared_secret), "rates"))
    return RequestRates(SERVICE, limiter, quotas, pseudonyms, metrics)


def _shipped_policies() -> PolicyEngine:
    return PolicyEngine(policy for feature in FEATURES for policy in feature.policies)


def _redis(settings: Settings) -> Redis:
    if settings.redis_url is None:
        raise StartupRefused("TWINLOG_REDIS_URL is missing.")
    return redis_client(settings.redis_url, REDIS_SECONDS)


def _remote_keys(settings: Settings) -> RemoteKeys:
    return RemoteKeys(settings.command_url, authority=settings.tls_authority_file)


def _vault_pool(settings: Settings) -> Pool:
    options: dict[str, Any] = {"autocommit": True, "application_name": "twinlog-query"}
    return AsyncConnectionPool(
        settings.vault_database_url, kwargs=options, min_size=1, max_size=VAULT_CONNECTIONS, timeout=5.0, open=False
    )


async def _no_check(_: object) -> None:
    """The vault checks its own schema, through its pool."""
