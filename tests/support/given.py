"""The three words in which rules are told: given what happened, when this is asked, then one of three endings.

given(resource_created).by(evolve).when(archive_resource, ArchiveResource(ID)).then(ResourceArchived(resource_id=ID))
                                                                              .then_refused(SomeRule)
                                                                              .then_nothing()
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from shared_kernel.errors import TwinlogError
from shared_kernel.events.contract import Event

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
"""When every command of these stories is given."""

Decide = Callable[[Any, Any, datetime], tuple[Event, ...]]
Evolve = Callable[[Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A command about to be decided; nothing has run yet, so that a refusal is an ending and not an accident."""

    decide: Callable[[], tuple[Event, ...]]

    def then(self, *expected: Event) -> None:
        """Exactly these events happen, in this order."""
        assert self.decide() == expected

    def then_refused(self, refusal: type[TwinlogError]) -> None:
        """The named rule refuses, and no rule derived from it."""
        with pytest.raises(refusal) as raised:
            self.decide()
        assert type(raised.value) is refusal

    def then_nothing(self) -> None:
        """There is nothing to do, and that is fine."""
        assert self.decide() == ()


@dataclass(frozen=True, slots=True)
class Given:
    """What has happened so far; `now` is when the next command is given."""

    events: tuple[Event, ...]
    evolve: Evolve | None = None
    now: datetime = NOON

    def by(self, evolve: Evolve) -> "Given":
        """The evolve function that makes a state of these events."""
        return Given(self.events, evolve, self.now)

    def at(self, now: datetime) -> "Given":
        return Given(self.events, self.evolve, now)

    @property
    def state(self) -> Any:
        """What the events have made; None when nothing has happened."""
        state = None
        for event in self.events:
            assert self.evolve is not None, "events need .by(evolve)"
            state = self.evolve(state, event)
        return state

    def when(self, decide: Decide, command: object) -> Asked:
        return Asked(lambda: decide(self.state, command, self.now))


def given(*events: Event) -> Given:
    """What has happened so far, oldest first."""
    return Given(events)
