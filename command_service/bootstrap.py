"""The composition root of the command API: settings in, services out, every part replaceable by name.

Tests boot through here too; the relay has a root of its own beside its loop.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg_pool import AsyncConnectionPool

from command_service.features import FEATURES
from command_service.features.access.commands import CreateTenant
from command_service.features.access.domain import TenantAlreadyExists
from command_service.features.access.handlers import AccessHandlers
from command_service.features.accounts.handlers.accounts import AccountHandlers
from command_service.features.accounts.handlers.addresses import Addresses
from command_service.features.accounts.handlers.credentials import Credentials
from command_service.features.operations.handlers import OperationHandlers
from command_service.features.policies.handlers import PolicyHandlers
from command_service.features.resources.handlers import RESOURCES, ResourceHandlers
from command_service.features.sessions.handlers.sessions import SESSIONS, SessionHandlers
from command_service.features.sessions.handlers.tokens import TokenHandlers
from command_service.features.sessions.handlers.totp import TotpHandlers
from command_service.infrastructure import schema, vault_schema
from command_service.infrastructure.archiving import Archive
from command_service.infrastructure.attempts import AttemptQuotas, Attempts
from command_service.infrastructure.call import DEFAULT_TENANT, Call
from command_service.infrastructure.denials import Denials
from command_service.infrastructure.event_store.store import PostgresEventStore
from command_service.infrastructure.execution import Execution
from command_service.infrastructure.health import measure, readiness_of
from command_service.infrastructure.housekeeping import INTERVAL, forgetting
from command_service.infrastructure.idempotency import Idempotency
from command_service.infrastructure.keys import TokenKeys
from command_service.infrastructure.loading import Loading
from command_service.infrastructure.policies import PolicyReader
from command_service.infrastructure.receipts import Receipts
from command_service.infrastructure.refresh_tokens import RefreshTokens
from command_service.infrastructure.snapshots import Snapshots
from command_service.settings import Settings
from shared_kernel.auth.outside.issuer import load_issuers
from shared_kernel.auth.outside.issuers import OutsideIssuers
from shared_kernel.auth.passwords import Passwords
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.secrets import derive
from shared_kernel.auth.tenant_policies import TenantPolicies
from shared_kernel.auth.tokens import TokenSigner, TokenVerifier, VerifiedToken
from shared_kernel.clock import Clock, SystemClock
from shared_kernel.events.registry import registry
from shared_kernel.gate import Gate
from shared_kernel.ids import Ids, Uuid7Ids
from shared_kernel.observability import Metrics
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault, Pool
from shared_kernel.process import require_database
from shared_kernel.rates.limiter import Limiter
from shared_kernel.rates.requests import Pseudonyms, RequestQuotas, RequestRates
from shared_kernel.settings import secret_bytes

SERVICE = "command"
VAULT_CONNECTIONS = 4
VAULT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes of this service can reach, and its life from opening to closing."""

    settings: Settings
    metrics: Metrics
    log: PostgresEventStore
    vault_pool: Pool
    vault: KeyVault
    passwords: Passwords
    token_keys: TokenKeys
    signer: TokenSigner
    denials: Denials
    rates: RequestRates
    gate: Gate
    feed_credential: bytes
    accounts: AccountHandlers
    credentials: Credentials
    sessions: SessionHandlers
    totp: TotpHandlers
    tokens: TokenHandlers
    access: AccessHandlers
    policies: PolicyHandlers
    resources: ResourceHandlers
    operations: OperationHandlers
    archive: Archive

    async def readiness(self) -> Mapping[str, str]:
        found = await readiness_of(self.log, self.vault, self.denials.known)
        return {**found, "token keys": self.token_keys.trouble}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open everything, close it in the reverse order.

        Raises Unreachable when a database is away, SchemaMismatch when a schema is not this release's.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self.passwords.close)
            stack.push_async_callback(self.gate.close)
            stack.push_async_callback(self.rates.limiter.close)
            await require_database(self.settings.command_database_url, schema.check)
            await require_database(self.settings.vault_database_url, vault_schema.check)
            stack.push_async_callback(self.vault_pool.close)
            await self.vault_pool.open(wait=True)
            stack.push_async_callback(self.log.close)
            await self.log.open()
            stack.push_async_callback(self.denials.stop)
            await self.denials.start()
            stack.push_async_callback(self.credentials.close)
            await self._ensure_default_tenant()
            await stack.enter_async_context(forgetting(self.log, INTERVAL))
            yield

    async def _ensure_default_tenant(self) -> None:
        """So that a fresh installation can be used without a word about tenants."""
        if await self.log.claim_holder(DEFAULT_TENANT, "tenant", DEFAULT_TENANT) is None:
            with suppress(TenantAlreadyExists):
                await self.access.create_tenant(CreateTenant(DEFAULT_TENANT), Call.of_system(DEFAULT_TENANT, "start"))


def bootstrap(
    settings: Settings,
    *,
    clock: Clock | None = None,
    ids: Ids | None = None,
    metrics: Metrics | None = None,
    log: PostgresEventStore | None = None,
    passwords: Passwords | None = None,
    policies: PolicyEngine | None = None,
) -> Services:
    """Wire the command service; nothing is connected before `running`. Raises StartupRefused."""
    log = log or PostgresEventStore(settings.command_database_url, topics=registry().by_topic.keys())
    clock = clock or SystemClock()
    policies = policies or _shipped_policies()
    passwords = passwords or Passwords.guarded(settings.password_words, settings.breached_passwords_file)
    vault_pool, vault = _vault(settings)
    execution = _execution(settings, log=log, vault=vault, policies=policies, clock=clock, ids=ids or Uuid7Ids())
    keys, signer = _signing(settings, clock)
    tenant_policies, denials = _news(settings, log, policies, execution.codec)
    metrics, rates, attempts = _measured(settings, metrics or Metrics(SERVICE), log)
    identity = _identity(settings, execution, attempts, passwords=passwords, signer=signer, denials=denials)
    return Services(
        settings=settings,
        metrics=metrics,
        log=log,
        vault_pool=vault_pool,
        vault=vault,
        passwords=passwords,
        token_keys=keys,
        signer=signer,
        denials=denials,
        rates=rates,
        gate=_gate(settings, signer, policies=policies, denials=denials, rates=rates, clock=clock),
        feed_credential=b"Bearer " + derive(secret_bytes(settings.shared_secret), "feed").hex().encode(),
        **identity._asdict(),
        policies=PolicyHandlers(execution, tenant_policies, denials),
        resources=ResourceHandlers(execution),
        operations=OperationHandlers(execution),
        archive=Archive(execution, (RESOURCES, SESSIONS)),
    )


def _news(
    settings: Settings, log: PostgresEventStore, policies: PolicyEngine, codec: PayloadCodec
) -> tuple[TenantPolicies, Denials]:
    known = TenantPolicies(policies)
    return known, Denials(settings.command_database_url, log, PolicyReader(known, codec))


def _gate(
    settings: Settings,
    signer: TokenSigner,
    *,
    policies: PolicyEngine,
    denials: Denials,
    rates: RequestRates,
    clock: Clock,
) -> Gate:
    outside = OutsideIssuers(load_issuers(settings.outside_issuers_file))
    verifier = TokenVerifier(signer.keys, signer.issuer)

    async def verify(token: str, now: datetime) -> VerifiedToken:
        return verifier.verify(token, now)

    return Gate(verify, outside, policies=policies, denials=denials.known, rates=rates, clock=clock)


def _measured(settings: Settings, metrics: Metrics, log: PostgresEventStore) -> tuple[Metrics, RequestRates, Attempts]:
    measure(metrics, log)
    rates = _rates(settings, metrics)
    return metrics, rates, _attempts(settings, rates.limiter, metrics)


def _signing(settings: Settings, clock: Clock) -> tuple[TokenKeys, TokenSigner]:
    keys = TokenKeys(settings.token_key_file, clock)
    return keys, TokenSigner(keys, settings.issuer)


class Identity(NamedTuple):
    """The features that say who somebody is; each is asked for by another."""

    accounts: AccountHandlers
    credentials: Credentials
    access: AccessHandlers
    sessions: SessionHandlers
    totp: TotpHandlers
    tokens: TokenHandlers


def _identity(
    settings: Settings,
    execution: Execution,
    attempts: Attempts,
    *,
    passwords: Passwords,
    signer: TokenSigner,
    denials: Denials,
) -> Identity:
    secret = secret_bytes(settings.command_secret)
    access, addresses = AccessHandlers(execution, denials), Addresses(secret)
    credentials = Credentials(execution, passwords, addresses, attempts)
    sessions = SessionHandlers(execution, denials)
    accounts = AccountHandlers(
        execution, passwords=passwords, addresses=addresses, admission=access, sessions=sessions, attempts=attempts
    )
    totp = TotpHandlers(execution, credentials, sessions, attempts, steps=settings.code_steps)
    tokens = TokenHandlers(
        execution,
        sessions=sessions,
        credentials=credentials,
        factors=totp,
        roles=access,
        signer=signer,
        refresh_tokens=RefreshTokens(secret),
    )
    return Identity(accounts, credentials, access, sessions, totp, tokens)


def _rates(settings: Settings, metrics: Metrics) -> RequestRates:
    limiter = Limiter.at(settings.redis_url, settings.rate_processes)
    quotas = RequestQuotas.parse(address=settings.rate_address, user=settings.rate_user, tenant=settings.rate_tenant)
    pseudonyms = Pseudonyms(derive(secret_bytes(settings.shared_secret), "rates"))
    return RequestRates(SERVICE, limiter, quotas, pseudonyms, metrics)


def _attempts(settings: Settings, limiter: Limiter, metrics: Metrics) -> Attempts:
    quotas = AttemptQuotas.parse(
        sign_in=settings.rate_sign_in,
        account=settings.rate_account,
        network=settings.rate_network,
        proof=settings.rate_proof,
    )
    return Attempts(limiter, quotas, secret_bytes(settings.command_secret), metrics)


def _execution(
    settings: Settings, *, log: PostgresEventStore, vault: KeyVault, policies: PolicyEngine, clock: Clock, ids: Ids
) -> Execution:
    secret, codec = secret_bytes(settings.command_secret), PayloadCodec(registry())
    return Execution(
        store=log,
        loading=Loading(log, vault, codec, Snapshots(log, derive(secret, "snapshot"))),
        vault=vault,
        codec=codec,
        policies=policies,
        idempotency=Idempotency(log, vault, secret),
        receipts=Receipts(log, derive(secret_bytes(settings.shared_secret), "consistency-token")),
        clock=clock,
        ids=ids,
    )


def _shipped_policies() -> PolicyEngine:
    return PolicyEngine(policy for feature in FEATURES for policy in feature.policies)


def _vault(settings: Settings) -> tuple[Pool, KeyVault]:
    options: dict[str, Any] = {"autocommit": True, "application_name": "twinlog-command"}
    pool: Pool = AsyncConnectionPool(
        settings.vault_database_url,
        kwargs=options,
        min_size=1,
        max_size=VAULT_CONNECTIONS,
        timeout=VAULT_SECONDS,
        reconnect_timeout=VAULT_SECONDS,  # else its attempts become rarer and rarer while the vault is away
        open=False,
    )
    return pool, KeyVault(pool, Kek.parse(settings.kek.get_secret_value()))
