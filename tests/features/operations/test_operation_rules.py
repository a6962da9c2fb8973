"""What operators may ask of a read model, told as given, when, then."""

from typing import Any

import pytest

from command_service.features.operations.commands import Action, Operate
from command_service.features.operations.domain import NoRebuildRequested, evolve, operate
from shared_kernel.events.contract import Event
from shared_kernel.events.operations import (
    ParkedRetryRequested,
    ParkedSkipApproved,
    RebuildCancelled,
    RebuildPaused,
    RebuildRequested,
    RebuildResumed,
    RollbackRequested,
    SwitchApproved,
)
from tests.support.given import Asked, given

NAME = "resources"
STARTED = RebuildRequested(projection=NAME)
PAUSED = RebuildPaused(projection=NAME)


def asked(*events: Event, **command: Any) -> Asked:
    return given(*events).by(evolve).when(operate, Operate(projection=NAME, **command))


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (
            {"action": Action.REBUILD, "at_once": True, "reason": "v2"},
            STARTED.model_copy(update={"at_once": True, "reason": "v2"}),
        ),
        ({"action": Action.SWITCH}, SwitchApproved(projection=NAME)),
        ({"action": Action.ROLLBACK, "carried_out": True}, RollbackRequested(projection=NAME, carried_out=True)),
        (
            {"action": Action.RETRY, "of_tenant": "acme", "stream": "s-1"},
            ParkedRetryRequested(projection=NAME, of_tenant="acme", stream="s-1"),
        ),
        (
            {"action": Action.SKIP, "of_tenant": "acme", "stream": "s-1", "position": 7, "reason": "why"},
            ParkedSkipApproved(projection=NAME, of_tenant="acme", stream="s-1", position=7, reason="why"),
        ),
    ],
)
def test_what_needs_no_rebuild_is_always_written_down(command: dict[str, Any], event: Event) -> None:
    asked(**command).then(event)
    asked(STARTED, PAUSED, **command).then(event)


@pytest.mark.parametrize("action", [Action.PAUSE, Action.RESUME, Action.CANCEL])
@pytest.mark.parametrize(
    "before", [(), (STARTED, RebuildCancelled(projection=NAME)), (STARTED, SwitchApproved(projection=NAME))]
)
def test_nothing_rests_goes_on_or_ends_without_a_rebuild(action: Action, before: tuple[Event, ...]) -> None:
    asked(*before, action=action).then_refused(NoRebuildRequested)


def test_rebuild_that_was_carried_out_at_the_command_line_cannot_be_paused() -> None:
    asked(STARTED.model_copy(update={"carried_out": True}), action=Action.PAUSE).then_refused(NoRebuildRequested)


def test_rebuild_is_paused_once_and_resumed_once() -> None:
    asked(STARTED, action=Action.PAUSE).then(PAUSED)
    asked(STARTED, PAUSED, action=Action.PAUSE).then_nothing()
    asked(STARTED, PAUSED, action=Action.RESUME).then(RebuildResumed(projection=NAME))
    asked(STARTED, PAUSED, RebuildResumed(projection=NAME), action=Action.RESUME).then_nothing()


def test_rebuild_is_cancelled_whether_it_rests_or_not() -> None:
    for before in ((STARTED,), (STARTED, PAUSED)):
        asked(*before, action=Action.CANCEL).then(RebuildCancelled(projection=NAME))


def test_going_back_leaves_a_rebuild_as_it_is() -> None:
    asked(STARTED, RollbackRequested(projection=NAME), action=Action.PAUSE).then(PAUSED)
