"""Whether this process can carry out commands just now, and what it measures about that."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol

from shared_kernel.auth.denials import DenialList
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import Metrics
from shared_kernel.privacy.vault import KeyVault

PATIENCE = 1.0
"""Seconds after which something that does not answer counts as away."""


class Log(Protocol):
    """The part of the event store that shows how it is."""

    @property
    def waiting(self) -> int: ...

    @property
    def clock_behind(self) -> int: ...

    async def head(self) -> tuple[int, int]: ...


async def readiness_of(log: Log, vault: KeyVault, denials: DenialList) -> Mapping[str, str]:
    """What the service needs and why it cannot be used, empty where it can. Commands go on without Redis."""
    database, keys = await asyncio.gather(_why_not(log.head()), _why_not(vault.check()))
    return {"database": database, "vault": keys, "denials": denials.trouble}


async def _why_not(sign_of_life: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await sign_of_life
    except TimeoutError:
        return f"no answer within {PATIENCE:g} second"
    except TwinlogError as error:
        return error.detail
    return ""


def measure(metrics: Metrics, log: Log) -> None:
    """Let the metrics show, whenever they are read, how the log is doing."""
    metrics.gauge("appends_waiting", "Appends that wait for their batch.").set_function(lambda: log.waiting)
    behind = metrics.gauge("log_clock_behind_seconds", "How far the database's clock was behind the newest event.")
    behind.set_function(lambda: log.clock_behind / 1_000_000)
