"""The committed JSON Schemas are the event contracts: a class cannot change without its schema showing it."""

import json
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import jsonschema
import pytest
from pydantic import ValidationError

from shared_kernel.events import schema
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import Credential, Event, Personal
from shared_kernel.events.registry import registry
from shared_kernel.events.upcasters import UPCASTERS

EVENTS = registry().by_topic
PERSON = UUID("01980000-0000-7000-8000-000000000001")

of_each_topic = pytest.mark.parametrize("topic", sorted(EVENTS))


class Renamed(Event):
    """A person has a new name and a new secret."""

    TOPIC: ClassVar[str] = "people.Renamed.v1"
    SUBJECT: ClassVar[str | None] = "person"

    person: UUID
    name: Personal
    secret: Credential
    reason: str = "marriage"


@of_each_topic
def test_committed_schema_is_the_one_of_the_class(topic: str) -> None:
    committed = (schema.FOLDER / schema.file_name(topic)).read_bytes()
    assert committed == schema.render(EVENTS[topic]), (
        "run `python -m shared_kernel.events.schema` and review the change"
    )


def test_every_committed_topic_can_still_be_read() -> None:
    committed = {file.name.removesuffix(".json") for file in schema.FOLDER.glob("*.json")}
    assert committed - set(EVENTS) - set(UPCASTERS) == set()


@of_each_topic
def test_schema_is_valid_and_carries_its_topic(topic: str) -> None:
    document = json.loads((schema.FOLDER / schema.file_name(topic)).read_bytes())
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$id"].endswith(f":{topic}")


@of_each_topic
def test_topic_is_named_after_feature_and_class(topic: str) -> None:
    feature, name, version = topic.split(".")
    event = EVENTS[topic]
    assert (feature, name) == (event.__module__.rpartition(".")[2], event.__name__)
    assert version.startswith("v")
    assert int(version[1:]) >= 1


@of_each_topic
def test_event_with_personal_fields_names_its_person(topic: str) -> None:
    event = EVENTS[topic]
    if event.personal_fields():
        assert event.SUBJECT in event.model_fields
        assert event.SUBJECT not in event.personal_fields()
    else:
        assert event.SUBJECT is None


def test_personal_fields_are_marked_and_secrets_twice() -> None:
    fields = schema.schema_of(Renamed)["properties"]
    marks = {name: {key for key in field if key.startswith("x-")} for name, field in fields.items()}
    assert marks == {"person": set(), "name": {"x-personal"}, "secret": {"x-personal", "x-credential"}, "reason": set()}


def test_what_an_event_says_of_itself_fits_its_schema() -> None:
    event = UserRegistered(user_id=PERSON, email="ada@example.org", name="Ada", password_hash="$argon2id$")
    jsonschema.validate(json.loads(event.model_dump_json()), schema.schema_of(UserRegistered))


def test_writing_gives_every_topic_a_file_and_leaves_old_ones(tmp_path: Path) -> None:
    old = tmp_path / "people.Renamed.v0.json"
    old.write_text("{}", encoding="utf-8")
    written = schema.write(tmp_path)
    assert {file.name for file in written} == {schema.file_name(topic) for topic in EVENTS}
    assert old.exists()


def test_reader_tolerates_what_a_newer_release_adds_and_nobody_changes_the_past() -> None:
    event = Renamed.model_validate({"person": PERSON, "name": "Ada", "secret": "s", "place": "London"})
    assert not hasattr(event, "place")
    with pytest.raises(ValidationError):
        event.name = "Grace"  # type: ignore[misc] # planted: the assignment that must fail
