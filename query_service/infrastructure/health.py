"""Whether this process can answer questions just now, and what it measures about its read models."""

from collections.abc import Iterable, Mapping
from functools import partial

from psycopg import sql

from query_service.infrastructure.database import Database
from query_service.infrastructure.freshness import Freshness
from shared_kernel.auth.jwks import RemoteKeys
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.observability import Metrics

ALIVE = sql.SQL("SELECT 1 AS alive")


async def readiness_of(database: Database, freshness: Freshness, keys: RemoteKeys) -> Mapping[str, str]:
    """What the service needs and why it cannot be used, empty where it can.

    Redis and the vault are not among it: without them most questions are answered all the same.
    """
    return {
        "database": await _why_not(database),
        "read-models": freshness.trouble,
        "signing-keys": await _why_no_keys(keys),
    }


async def _why_not(database: Database) -> str:
    try:
        await database.row(ALIVE)
    except ServiceUnavailable as error:
        return error.detail
    return ""


async def _why_no_keys(keys: RemoteKeys) -> str:
    if keys.due:
        await keys.refresh()
    try:
        return "" if keys.keys else "the command service publishes no keys"
    except ServiceUnavailable as error:
        return error.detail


def measure(metrics: Metrics, freshness: Freshness, projections: Iterable[str]) -> None:
    """Let the metrics show, whenever they are read, how far each projection is behind."""
    positions = metrics.gauge("read_model_lag_positions", "Published positions not yet projected.", ("projection",))
    seconds = metrics.gauge("read_model_lag_seconds", "Age of the oldest event not yet projected.", ("projection",))
    for name in projections:
        positions.labels(name).set_function(partial(freshness.positions_behind, name))
        seconds.labels(name).set_function(partial(freshness.seconds_behind, name))
