"""The rules of a resource: what may happen to it, and what it is after that happened."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from command_service.features.resources.commands import (
    ArchiveResource,
    ChangeResourceDetails,
    CreateResource,
    RestoreResource,
    bounded,
)
from shared_kernel.errors import ImpossibleHistory, Refusal
from shared_kernel.events.contract import Event
from shared_kernel.events.resources import (
    ResourceArchived,
    ResourceCreated,
    ResourceDetailsChanged,
    ResourceRestored,
)


class State(StrEnum):
    """Where a resource is in its life."""

    ACTIVE = "active"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as its events have made it."""

    resource_id: UUID
    owner: UUID
    name: str
    description: str
    classification: str
    attributes: Mapping[str, Any]
    tags: tuple[str, ...]
    state: State = State.ACTIVE


class ArchivedResourceRefusesChanges(Refusal):
    """The resource is archived; restore it before you change it."""


class AttributesOutgrowTheirLimits(Refusal):
    """With this change the attributes would be more than a resource can carry."""


def create_resource(nothing: None, command: CreateResource, now: datetime) -> tuple[Event, ...]:
    details = command.details.model_dump(mode="json")
    return (ResourceCreated(resource_id=command.resource_id, owner=command.owner, **details),)


def change_resource_details(resource: Resource, command: ChangeResourceDetails, now: datetime) -> tuple[Event, ...]:
    if resource.state is State.ARCHIVED:
        raise ArchivedResourceRefusesChanges
    wanted = {name: _patched(resource, name, value) for name, value in command.patch.members().items()}
    changes = {name: value for name, value in wanted.items() if not _same(value, getattr(resource, name))}
    return (ResourceDetailsChanged(resource_id=resource.resource_id, **changes),) if changes else ()


def archive_resource(resource: Resource, command: ArchiveResource, now: datetime) -> tuple[Event, ...]:
    if resource.state is State.ARCHIVED:
        return ()
    return (ResourceArchived(resource_id=resource.resource_id),)


def restore_resource(resource: Resource, command: RestoreResource, now: datetime) -> tuple[Event, ...]:
    if resource.state is State.ACTIVE:
        return ()
    return (ResourceRestored(resource_id=resource.resource_id),)


def evolve(resource: Resource | None, event: Event) -> Resource:
    """The resource after one more event of its stream."""
    match resource, event:
        case None, ResourceCreated():
            return Resource(**dict(event))
        case Resource(), ResourceDetailsChanged():
            return replace(resource, **{name: value for name, value in event if value is not None})
        case Resource(), ResourceArchived():
            return replace(resource, state=State.ARCHIVED)
        case Resource(), ResourceRestored():
            return replace(resource, state=State.ACTIVE)
    raise ImpossibleHistory


_EMPTY: Mapping[str, Any] = {"description": "", "attributes": {}, "tags": ()}


def _patched(resource: Resource, name: str, value: Any) -> Any:
    """The field's new value: `null` empties it, attributes are merged, anything else replaces."""
    if value is None:
        return _EMPTY[name]
    return _merged_within_limits(resource.attributes, value) if name == "attributes" else value


def _merged_within_limits(attributes: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return bounded(_merged(attributes, patch))
    except ValueError as fault:
        raise AttributesOutgrowTheirLimits(f"The attributes {fault}.") from None


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged member by member, `null` removes a member, anything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    kept = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = _merged(kept.get(key), value)
    return kept


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON, where 1 and true, which Python takes for equal, are not."""
    return orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
