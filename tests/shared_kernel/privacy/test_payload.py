"""Events to bytes and back: personal fields are ciphertext in the log and clear only with the person's key."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import orjson
import pytest
from eventsourcing.utils import resolve_topic

from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import ERASED, Event, Personal
from shared_kernel.events.envelope import OPAQUE, Metadata, StoredRow
from shared_kernel.events.registry import Registry, UnknownTopic, registry
from shared_kernel.events.resources import ResourceCreated
from shared_kernel.events.sessions import SessionStarted
from shared_kernel.events.upcasters import Data, Upcaster
from shared_kernel.privacy.cipher import PREFIX, SubjectKey
from shared_kernel.privacy.payload import REDACTED, SEALED, KeyNeeded, PayloadCodec, UnreadablePayload

USER = UUID(int=1)
KEY = SubjectKey(UUID(int=7), bytes(range(32)))
METADATA = Metadata(actor="system:test", correlation_id="c", occurred_at="2026-03-12T12:00:00Z")
REGISTERED = UserRegistered(
    user_id=USER, email="canary@example.org", name="Canary Jane", password_hash="$argon2id$canary"
)
CREATED = ResourceCreated(
    resource_id=UUID(int=2),
    owner=USER,
    name="enc:v1:looks-like-ciphertext",
    description="",
    classification="internal",
    attributes={"$sealed": ["name"], "nested": {"deep": [1, None]}},
    tags=("a", "b"),
)
CODEC = PayloadCodec(registry())


def row_of(payload: bytes, topic: str = UserRegistered.TOPIC, **changes: Any) -> StoredRow:
    row: dict[str, Any] = {
        "position": 5,
        "tenant": "default",
        "tenant_seq": 1,
        "stream": f"users-{USER}",
        "version": 1,
        "topic": topic,
        "payload_format": 1,
        "payload": payload,
        "metadata": METADATA.encode(),
        "event_id": UUID(int=3),
        "recorded_at": 0,
        "slot": 0,
        "leaf_version": 1,
        "leaf_hash": bytes(32),
    }
    return StoredRow(**{**row, **changes})


def encoded(event: Event, key: SubjectKey | None = KEY) -> bytes:
    return CODEC.encode(event, tenant="default", stream=f"users-{USER}", version=1, key=key)


def test_event_comes_back_with_its_key() -> None:
    row = row_of(encoded(REGISTERED))
    recorded = CODEC.decode(row, KEY)
    assert recorded.event == REGISTERED
    assert recorded.row is row
    assert recorded.metadata == METADATA


def test_log_holds_only_ciphertext_of_personal_fields() -> None:
    payload = encoded(REGISTERED)
    data = orjson.loads(payload)
    assert b"anary" not in payload
    assert data["user_id"] == str(USER)
    assert data[SEALED] == ["email", "name", "password_hash"]
    assert all(data[name].startswith(PREFIX) for name in data[SEALED])


def test_without_the_key_personal_fields_read_erased() -> None:
    event = CODEC.decode(row_of(encoded(REGISTERED)), None).event
    assert event == UserRegistered(user_id=USER, email=ERASED, name=ERASED, password_hash=ERASED)


def test_redacted_needs_no_key_and_shows_nothing_personal() -> None:
    assert CODEC.redacted(row_of(encoded(REGISTERED))) == {
        "user_id": str(USER),
        "email": REDACTED,
        "name": REDACTED,
        "password_hash": REDACTED,
    }


def test_clear_text_that_looks_like_ciphertext_stays_what_it_is() -> None:
    row = row_of(encoded(CREATED, None), ResourceCreated.TOPIC)
    assert CODEC.decode(row, None).event == CREATED
    assert CODEC.redacted(row)["name"] == "enc:v1:looks-like-ciphertext"
    assert CODEC.subject_of(row) is None


def test_payload_is_json_with_sorted_names() -> None:
    started = SessionStarted(
        session_id=USER, user_id=USER, methods=("pwd",), expires_at=datetime(2026, 3, 12, tzinfo=UTC)
    )
    payload = encoded(started, None)
    assert list(orjson.loads(payload)) == sorted(orjson.loads(payload))
    assert b'"expires_at":"2026-03-12T00:00:00Z"' in payload, "times as in every payload that is stored already"
    assert CODEC.decode(row_of(payload, SessionStarted.TOPIC), None).event == started


def test_subject_is_the_person_whose_key_is_needed() -> None:
    assert CODEC.subject_of(row_of(encoded(REGISTERED))) == str(USER)


def test_personal_fields_are_never_stored_without_a_key() -> None:
    with pytest.raises(KeyNeeded):
        encoded(REGISTERED, None)


def test_event_outside_the_registry_is_not_stored() -> None:
    with pytest.raises(UnknownTopic, match="NameChanged"):
        encoded(NameChanged(user_id=USER, name="Jane"))


@pytest.mark.parametrize(
    "changes", [{"tenant": "other"}, {"stream": "users-2"}, {"version": 2}], ids=["tenant", "stream", "version"]
)
def test_ciphertext_moved_to_another_row_is_unreadable(changes: Mapping[str, Any]) -> None:
    with pytest.raises(UnreadablePayload, match="position 5"):
        CODEC.decode(row_of(encoded(REGISTERED), **changes), KEY)


def test_ciphertexts_exchanged_between_fields_are_unreadable() -> None:
    data = orjson.loads(encoded(REGISTERED))
    data["email"], data["name"] = data["name"], data["email"]
    with pytest.raises(UnreadablePayload):
        CODEC.decode(row_of(orjson.dumps(data)), KEY)


def test_another_person_s_key_is_no_erasure_but_an_error() -> None:
    with pytest.raises(UnreadablePayload):
        CODEC.decode(row_of(encoded(REGISTERED)), SubjectKey(UUID(int=8), bytes(range(32))))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"{}",
        b'{"user_id": "nobody"}',
        b'{"$sealed": "email", "email": "x"}',
        b'{"$sealed": ["email"]}',
        b'{"$sealed": [1]}',
        b'{"$sealed": ["email"], "email": 7}',
    ],
)
def test_broken_payload_is_one_clear_error(payload: bytes) -> None:
    with pytest.raises(UnreadablePayload, match="position 5"):
        CODEC.decode(row_of(payload), KEY)


@pytest.mark.parametrize("payload", [b'{"$sealed": ["email"], "email": "x"}', b'{"$sealed": ["email"]}', b"7"])
def test_payload_that_does_not_say_whose_it_is_is_one_clear_error(payload: bytes) -> None:
    with pytest.raises(UnreadablePayload, match="position 5"):
        CODEC.subject_of(row_of(payload))


def test_broken_metadata_is_one_clear_error() -> None:
    with pytest.raises(UnreadablePayload):
        CODEC.decode(row_of(encoded(REGISTERED), metadata=b"{}"), KEY)


def test_error_never_quotes_personal_values() -> None:
    data = orjson.loads(encoded(REGISTERED)) | {"user_id": "canary-not-a-uuid"}
    with pytest.raises(UnreadablePayload) as refused:
        CODEC.decode(row_of(orjson.dumps(data)), KEY)
    assert "anary" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_payload_of_unknown_shape_is_not_decoded_and_shows_its_size() -> None:
    row = row_of(b"\x80\x04pickle", payload_format=OPAQUE)
    assert CODEC.redacted(row) == {"bytes": 8}
    for read in (lambda: CODEC.decode(row, None), lambda: CODEC.subject_of(row)):
        with pytest.raises(UnreadablePayload):
            read()


@pytest.mark.asvs("V1.5.2")
def test_unknown_topic_is_named() -> None:
    with pytest.raises(UnknownTopic, match=r"accounts\.New"):
        CODEC.decode(row_of(encoded(REGISTERED), topic="accounts.New.v9"), KEY)
    assert CODEC.redacted(row_of(encoded(REGISTERED), topic="accounts.New.v9"))["email"] == REDACTED


def test_unknown_fields_of_a_newer_release_are_tolerated() -> None:
    data = orjson.loads(encoded(REGISTERED)) | {"newer": 1}
    assert CODEC.decode(row_of(orjson.dumps(data)), KEY).event == REGISTERED


def test_old_topic_is_opened_under_its_old_names_and_read_in_its_new_shape() -> None:
    def rename(data: Data) -> tuple[str, Data]:
        return NoteWritten.TOPIC, {"author": data["by"], "text": data["note"]}

    steps: dict[str, Upcaster] = {"notes.NoteWritten.v0": rename}
    old, new = PayloadCodec(Registry([OldNote])), PayloadCodec(Registry([NoteWritten]), MappingProxyType(steps))
    payload = old.encode(OldNote(by="7", note="clear"), tenant="default", stream="n-1", version=1, key=KEY)
    row = row_of(payload, OldNote.TOPIC, stream="n-1")
    assert new.subject_of(row) == "7"
    assert new.decode(row, KEY).event == NoteWritten(author="7", text="clear")
    assert new.decode(row, None).event == NoteWritten(author="7", text=ERASED)
    with pytest.raises(UnreadablePayload, match=r"^The event at position 5 cannot be led to its newest version\.$"):
        new.decode(row_of(b"{}", OldNote.TOPIC), None)


def test_optional_personal_field_may_be_absent() -> None:
    codec = PayloadCodec(Registry([NameChanged]))
    for event in (NameChanged(user_id=USER, name="Jane"), NameChanged(user_id=USER)):
        payload = codec.encode(event, tenant="default", stream=f"users-{USER}", version=1, key=KEY)
        assert b"Jane" not in payload
        assert codec.decode(row_of(payload, NameChanged.TOPIC), KEY).event == event


@pytest.mark.parametrize("name", ["NoSubject", "WrongSubject", "Nested", "Many"])
def test_event_class_whose_personal_data_would_escape_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        PayloadCodec(Registry([UNSAFE[name]]))


@pytest.mark.asvs("V1.5.2")
def test_library_learns_our_topics_and_no_python_path() -> None:
    CODEC.register_with_eventsourcing()
    CODEC.register_with_eventsourcing()
    assert resolve_topic(UserRegistered.TOPIC) is UserRegistered


class OldNote(Event):
    TOPIC: ClassVar[str] = "notes.NoteWritten.v0"
    SUBJECT: ClassVar[str | None] = "by"
    by: str
    note: Personal


class NoteWritten(Event):
    TOPIC: ClassVar[str] = "notes.NoteWritten.v1"
    SUBJECT: ClassVar[str | None] = "author"
    author: str
    text: Personal


class NameChanged(Event):
    TOPIC: ClassVar[str] = "accounts.NameChanged.v1"
    SUBJECT: ClassVar[str | None] = "user_id"
    user_id: UUID
    name: Personal | None = None


class NoSubject(Event):
    TOPIC: ClassVar[str] = "unsafe.NoSubject.v1"
    name: Personal


class WrongSubject(Event):
    TOPIC: ClassVar[str] = "unsafe.WrongSubject.v1"
    SUBJECT: ClassVar[str | None] = "somebody"
    name: Personal


class Nested(Event):
    TOPIC: ClassVar[str] = "unsafe.Nested.v1"
    SUBJECT: ClassVar[str | None] = "user_id"
    user_id: UUID
    names: dict[str, Personal]


class Many(Event):
    TOPIC: ClassVar[str] = "unsafe.Many.v1"
    SUBJECT: ClassVar[str | None] = "user_id"
    user_id: UUID
    names: list[Personal] | None = None


UNSAFE: Mapping[str, type[Event]] = {cls.__name__: cls for cls in (NoSubject, WrongSubject, Nested, Many)}
