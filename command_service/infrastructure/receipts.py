"""Consistency tokens for the callers of commands: with one of them a reader waits for what was just written."""

import time
from collections.abc import Callable

from command_service.infrastructure.event_store.port import EventStore
from shared_kernel.messaging.consistency import ConsistencyToken

EPOCH_SECONDS = 5.0
"""The epoch only changes when a restored log is opened anew, so it need not be asked for with every command."""


class Receipts:
    """Seals tokens under `key`, which both services derive from their shared secret."""

    def __init__(self, store: EventStore, key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._sealing_key = key
        self._clock = clock
        self._epoch = 0
        self._asked_at = float("-inf")

    async def token(self, position: int, tenant: str, stream: str) -> str:
        """For the stream's event at `position`."""
        if self._clock() - self._asked_at > EPOCH_SECONDS:
            self._epoch, _ = await self._store.head()
            self._asked_at = self._clock()
        return ConsistencyToken(self._epoch, position, tenant, stream).seal(self._sealing_key)
