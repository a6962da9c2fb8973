"""The rules of a resource, told as given / when / then."""

from typing import Any
from uuid import UUID

import pytest

from command_service.features.resources.commands import (
    ArchiveResource,
    ChangeResourceDetails,
    CreateResource,
    DetailsPatch,
    ResourceDetails,
    RestoreResource,
)
from command_service.features.resources.domain import (
    ArchivedResourceRefusesChanges,
    AttributesOutgrowTheirLimits,
    archive_resource,
    change_resource_details,
    create_resource,
    evolve,
    restore_resource,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.resources import (
    ResourceArchived,
    ResourceCreated,
    ResourceDetailsChanged,
    ResourceRestored,
)
from tests.support.given import given

ID = UUID("0192f000-0000-7000-8000-000000000001")
OWNER = UUID("0192f000-0000-7000-8000-000000000002")
ARCHIVED = ResourceArchived(resource_id=ID)
RESTORED = ResourceRestored(resource_id=ID)
CREATED = ResourceCreated(
    resource_id=ID,
    owner=OWNER,
    name="orjson",
    description="Fast JSON",
    classification="internal",
    attributes={"licence": "MIT", "limits": {"depth": 1, "keys": 2}},
    tags=("json", "fast"),
)


def changing(**members: Any) -> ChangeResourceDetails:
    return ChangeResourceDetails(ID, DetailsPatch(**members))


def changed(**fields: Any) -> ResourceDetailsChanged:
    return ResourceDetailsChanged(resource_id=ID, **fields)


def test_new_resource_belongs_to_the_one_who_created_it() -> None:
    command = CreateResource(ID, OWNER, ResourceDetails(name="orjson"))
    given().when(create_resource, command).then(
        ResourceCreated(
            resource_id=ID,
            owner=OWNER,
            name="orjson",
            description="",
            classification="internal",
            attributes={},
            tags=(),
        )
    )


def test_change_says_only_what_is_different() -> None:
    command = changing(name="orjson 3", description="Fast JSON")
    given(CREATED).by(evolve).when(change_resource_details, command).then(changed(name="orjson 3"))


def test_same_values_again_change_nothing() -> None:
    command = changing(name="orjson", tags=("json", "fast"), attributes={"limits": {"keys": 2}})
    given(CREATED).by(evolve).when(change_resource_details, command).then_nothing()


def test_empty_patch_changes_nothing() -> None:
    given(CREATED).by(evolve).when(change_resource_details, changing()).then_nothing()


def test_null_empties_description_attributes_and_tags() -> None:
    command = changing(description=None, attributes=None, tags=None)
    emptied = changed(description="", attributes={}, tags=())
    given(CREATED).by(evolve).when(change_resource_details, command).then(emptied)


def test_attributes_are_merged_and_null_removes_a_key() -> None:
    command = changing(attributes={"licence": None, "limits": {"depth": 5}, "new": [None]})
    merged = changed(attributes={"limits": {"depth": 5, "keys": 2}, "new": [None]})
    given(CREATED).by(evolve).when(change_resource_details, command).then(merged)


def test_object_replaces_a_plain_attribute() -> None:
    command = changing(attributes={"licence": {"name": "MIT", "gone": None}})
    merged = changed(attributes={"licence": {"name": "MIT"}, "limits": {"depth": 1, "keys": 2}})
    given(CREATED).by(evolve).when(change_resource_details, command).then(merged)


@pytest.mark.asvs("V15.3.5")
def test_true_and_one_are_different_attributes() -> None:
    command = changing(attributes={"limits": {"depth": True}})
    merged = changed(attributes={"licence": "MIT", "limits": {"depth": True, "keys": 2}})
    given(CREATED).by(evolve).when(change_resource_details, command).then(merged)


@pytest.mark.asvs("V2.2.3", "V2.3.2")
def test_attributes_outgrow_their_limits_only_together() -> None:
    command = changing(attributes={f"k{n}": n for n in range(61)})
    given(CREATED).by(evolve).when(change_resource_details, command).then_refused(AttributesOutgrowTheirLimits)


def test_archived_resource_refuses_changes() -> None:
    for command in (changing(name="other"), changing(name="orjson"), changing()):
        story = given(CREATED, ARCHIVED).by(evolve)
        story.when(change_resource_details, command).then_refused(ArchivedResourceRefusesChanges)


def test_restored_resource_may_be_changed_again() -> None:
    story = given(CREATED, ARCHIVED, RESTORED).by(evolve)
    story.when(change_resource_details, changing(tags=("json",))).then(changed(tags=("json",)))


def test_change_builds_on_the_changes_before_it() -> None:
    story = given(CREATED, changed(name="orjson 3"), changed(tags=())).by(evolve)
    story.when(change_resource_details, changing(name="orjson 3", tags=None)).then_nothing()


def test_active_resource_can_be_archived() -> None:
    given(CREATED).by(evolve).when(archive_resource, ArchiveResource(ID)).then(ARCHIVED)


def test_archiving_twice_changes_nothing() -> None:
    given(CREATED, ARCHIVED).by(evolve).when(archive_resource, ArchiveResource(ID)).then_nothing()


def test_archived_resource_can_be_restored() -> None:
    given(CREATED, ARCHIVED).by(evolve).when(restore_resource, RestoreResource(ID)).then(RESTORED)


def test_restoring_an_active_resource_changes_nothing() -> None:
    given(CREATED).by(evolve).when(restore_resource, RestoreResource(ID)).then_nothing()


def test_history_begins_with_creation() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(None, ARCHIVED)
    with pytest.raises(ImpossibleHistory):
        evolve(evolve(None, CREATED), CREATED)
