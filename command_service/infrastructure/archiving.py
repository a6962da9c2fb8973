"""Archiving a stream: its last event says so, and the append function takes nothing more for it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from command_service.infrastructure.aggregate import Aggregate, Events, Presence, Work
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from shared_kernel.errors import NotFound, Refusal
from shared_kernel.events.archiving import StreamArchived


class OpenStreamStays(Refusal):
    """Only the stream of an object that has come to its end can be archived; this one is still in use."""


class Archive:
    """Archives streams of aggregates that come to an end, which is for good: the log is never rewritten."""

    def __init__(self, execution: Execution, aggregates: Iterable[Aggregate[Any]]) -> None:
        self._execution = execution
        self._closing: Mapping[str, Aggregate[Any]] = {each.category: each for each in aggregates if each.closed}

    async def archive(self, stream: str, reason: str, call: Call) -> Answer:
        """Raises NotFound, OpenStreamStays, ArchivedStreamRefusesAppends and what an append may raise."""
        category, _, id_ = stream.partition("-")
        aggregate = self._closing.get(category)
        if aggregate is None:
            known = ", ".join(f"{name}-..." for name in sorted(self._closing))
            raise NotFound(f"Only these streams come to an end that an archive could keep: {known}.")

        def decide(state: Any, _: datetime) -> Events:
            if aggregate.closed is None or not aggregate.closed(state):
                raise OpenStreamStays
            return (StreamArchived(reason=reason),)

        return await self._execution.run(Work(aggregate, id_, decide, Presence.THERE), call)
