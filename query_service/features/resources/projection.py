"""How the events of a resource become its row."""

from typing import Any

from query_service.features.resources.views import RESOURCES
from query_service.infrastructure.projection import Key, Projection, Row, existing
from shared_kernel.clock import moment
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.resources import (
    ResourceArchived,
    ResourceCreated,
    ResourceDetailsChanged,
    ResourceRestored,
)


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.resource_id


def on_resource_created(_: Row | None, recorded: Recorded[ResourceCreated]) -> Row:
    event = recorded.event
    return {
        "tenant": recorded.row.tenant,
        "id": event.resource_id,
        "created_position": recorded.row.position,
        "name": event.name,
        "description": event.description,
        "classification": event.classification,
        "attributes": event.attributes,
        "tags": list(event.tags),
        "owner": event.owner,
        "state": "active",
        "created_at": moment(recorded.row.recorded_at),
        **_stamp(recorded),
    }


def on_resource_details_changed(row: Row | None, recorded: Recorded[ResourceDetailsChanged]) -> Row:
    changed = recorded.event.model_dump(exclude={"resource_id"}, exclude_none=True)
    if "tags" in changed:
        changed["tags"] = list(changed["tags"])
    return {**existing(row), **changed, **_stamp(recorded)}


def on_resource_archived(row: Row | None, recorded: Recorded[ResourceArchived]) -> Row:
    return {**existing(row), "state": "archived", **_stamp(recorded)}


def on_resource_restored(row: Row | None, recorded: Recorded[ResourceRestored]) -> Row:
    return {**existing(row), "state": "active", **_stamp(recorded)}


def _stamp(recorded: Recorded[Any]) -> Row:
    return {"version": recorded.row.version, "updated_at": moment(recorded.row.recorded_at)}


PROJECTION = Projection(
    name="resources",
    version=1,
    table=RESOURCES,
    key_of=key_of,
    folds={
        ResourceCreated: on_resource_created,
        ResourceDetailsChanged: on_resource_details_changed,
        ResourceArchived: on_resource_archived,
        ResourceRestored: on_resource_restored,
    },
)
