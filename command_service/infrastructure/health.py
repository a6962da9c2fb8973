"""Whether this process can carry out commands just now."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from shared_kernel.errors import TwinlogError
from shared_kernel.privacy.vault import KeyVault


class Log(Protocol):
    """The part of the event store that shows it is alive."""

    async def head(self) -> tuple[int, int]: ...


async def readiness_of(log: Log, vault: KeyVault) -> Mapping[str, str]:
    """What the service needs and why it cannot be used, empty where it can. Commands go on without Redis."""
    return {"database": await _why_not(log.head()), "vault": await _why_not(vault.check())}


async def _why_not(sign_of_life: Awaitable[object]) -> str:
    try:
        await sign_of_life
    except TwinlogError as error:
        return error.detail
    return ""
