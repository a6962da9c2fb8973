"""A resource's row follows from its events."""

from typing import Any
from uuid import UUID

import pytest

from query_service.features.resources.projection import PROJECTION
from query_service.infrastructure.projection import RowMissing
from shared_kernel.events.resources import ResourceArchived, ResourceCreated, ResourceDetailsChanged, ResourceRestored
from tests.support.stories import NOON, TENANT, given

ID = UUID("0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c11")
OWNER = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")
CREATED = ResourceCreated(
    resource_id=ID,
    owner=OWNER,
    name="orjson",
    description="Fast JSON",
    classification="internal",
    attributes={"licence": "MIT"},
    tags=("json", "runtime"),
)


def test_created_resource_is_active_and_belongs_to_its_owner() -> None:
    given(CREATED).folded_by(PROJECTION).then(
        {
            "tenant": TENANT,
            "id": ID,
            "version": 1,
            "created_position": 1,
            "name": "orjson",
            "description": "Fast JSON",
            "classification": "internal",
            "attributes": {"licence": "MIT"},
            "tags": ["json", "runtime"],
            "owner": OWNER,
            "state": "active",
            "created_at": NOON,
            "updated_at": NOON,
        }
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "ORJSON"}, {"name": "ORJSON", "description": "Fast JSON"}),
        ({"description": ""}, {"name": "orjson", "description": ""}),
        ({"classification": "restricted"}, {"classification": "restricted"}),
        ({"attributes": {}}, {"attributes": {}, "tags": ["json", "runtime"]}),
        ({"tags": ()}, {"tags": [], "attributes": {"licence": "MIT"}}),
    ],
)
def test_changed_details_replace_only_what_was_given(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    changed = ResourceDetailsChanged(resource_id=ID, **changes)
    given(CREATED, changed).folded_by(PROJECTION).then({**expected, "version": 2, "created_position": 1})


def test_archived_resource_keeps_everything_but_its_state() -> None:
    given(CREATED, ResourceArchived(resource_id=ID)).folded_by(PROJECTION).then(
        {"state": "archived", "name": "orjson", "owner": OWNER, "version": 2}
    )


def test_restored_resource_is_active_again() -> None:
    story = given(CREATED, ResourceArchived(resource_id=ID), ResourceRestored(resource_id=ID))
    story.folded_by(PROJECTION).then({"state": "active", "version": 3})


def test_a_change_without_a_creation_is_refused_loudly() -> None:
    with pytest.raises(RowMissing):
        given(ResourceArchived(resource_id=ID)).folded_by(PROJECTION)
