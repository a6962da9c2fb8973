"""Whether this process can carry out commands just now."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Protocol

from shared_kernel.errors import TwinlogError
from shared_kernel.privacy.vault import KeyVault

PATIENCE = 1.0
"""Seconds after which something that does not answer counts as away."""


class Log(Protocol):
    """The part of the event store that shows it is alive."""

    async def head(self) -> tuple[int, int]: ...


async def readiness_of(log: Log, vault: KeyVault) -> Mapping[str, str]:
    """What the service needs and why it cannot be used, empty where it can. Commands go on without Redis."""
    database, keys = await asyncio.gather(_why_not(log.head()), _why_not(vault.check()))
    return {"database": database, "vault": keys}


async def _why_not(sign_of_life: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await sign_of_life
    except TimeoutError:
        return f"no answer within {PATIENCE:g} second"
    except TwinlogError as error:
        return error.detail
    return ""
