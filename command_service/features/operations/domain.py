"""The rules of operating: what is asked is written down; how it went, the projector tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from command_service.features.operations.commands import Action, Operate
from shared_kernel.errors import Refusal
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


@dataclass(frozen=True, slots=True)
class Requested:
    """What was asked of a read model so far: whether a rebuild that may still be going on, and whether it rests."""

    rebuild: bool = False
    paused: bool = False


class NoRebuildRequested(Refusal):
    """Nobody has asked for a rebuild of this read model that could be paused, resumed or cancelled."""


def operate(requested: Requested | None, command: Operate, now: datetime) -> tuple[Event, ...]:
    return _DECISIONS[command.action](requested or Requested(), command)


def _rebuild(_: Requested, command: Operate) -> tuple[Event, ...]:
    event = RebuildRequested(
        projection=command.projection,
        at_once=command.at_once,
        reason=command.reason,
        carried_out=command.carried_out,
    )
    return (event,)


def _pause(requested: Requested, command: Operate) -> tuple[Event, ...]:
    _require_rebuild(requested)
    if requested.paused:
        return ()
    return (RebuildPaused(projection=command.projection, reason=command.reason, carried_out=command.carried_out),)


def _resume(requested: Requested, command: Operate) -> tuple[Event, ...]:
    _require_rebuild(requested)
    if not requested.paused:
        return ()
    return (RebuildResumed(projection=command.projection, reason=command.reason, carried_out=command.carried_out),)


def _cancel(requested: Requested, command: Operate) -> tuple[Event, ...]:
    _require_rebuild(requested)
    return (RebuildCancelled(projection=command.projection, reason=command.reason, carried_out=command.carried_out),)


def _switch(_: Requested, command: Operate) -> tuple[Event, ...]:
    return (SwitchApproved(projection=command.projection, reason=command.reason, carried_out=command.carried_out),)


def _roll_back(_: Requested, command: Operate) -> tuple[Event, ...]:
    return (RollbackRequested(projection=command.projection, reason=command.reason, carried_out=command.carried_out),)


def _retry(_: Requested, command: Operate) -> tuple[Event, ...]:
    event = ParkedRetryRequested(
        projection=command.projection,
        of_tenant=command.of_tenant,
        stream=command.stream,
        reason=command.reason,
        carried_out=command.carried_out,
    )
    return (event,)


def _skip(_: Requested, command: Operate) -> tuple[Event, ...]:
    event = ParkedSkipApproved(
        projection=command.projection,
        of_tenant=command.of_tenant,
        stream=command.stream,
        position=command.position,
        reason=command.reason,
        carried_out=command.carried_out,
    )
    return (event,)


_DECISIONS: Mapping[Action, Callable[[Requested, Operate], tuple[Event, ...]]] = {
    Action.REBUILD: _rebuild,
    Action.PAUSE: _pause,
    Action.RESUME: _resume,
    Action.CANCEL: _cancel,
    Action.SWITCH: _switch,
    Action.ROLLBACK: _roll_back,
    Action.RETRY: _retry,
    Action.SKIP: _skip,
}


def _require_rebuild(requested: Requested) -> None:
    if not requested.rebuild:
        raise NoRebuildRequested


def evolve(requested: Requested | None, event: Event) -> Requested:
    """What was asked after one more event of the read model's stream."""
    before = requested or Requested()
    match event:
        case RebuildRequested():
            return Requested(rebuild=not event.carried_out)
        case RebuildPaused():
            return replace(before, paused=True)
        case RebuildResumed():
            return replace(before, paused=False)
        case RebuildCancelled() | SwitchApproved():
            return Requested()
    return before
