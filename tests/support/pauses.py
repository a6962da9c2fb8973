"""How long something waits between its attempts."""

from types import ModuleType

import pytest

from shared_kernel.messaging.backoff import Backoff


def noted_pauses(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[float]:
    """Seconds of each pause that a loop in this module has begun, as they come."""
    pauses: list[float] = []

    class Noted(Backoff):
        async def pause(self) -> None:
            pauses.append(self._next)
            await super().pause()

    monkeypatch.setattr(module, "Backoff", Noted)
    return pauses
