"""What was stored once can be read for ever: a sample of each (topic, version), and steps that lead to the newest."""

import copy
from pathlib import Path
from typing import ClassVar
from uuid import UUID

import orjson
import pytest

from shared_kernel.events.contract import ERASED, Event, Personal
from shared_kernel.events.registry import Registry, registry
from shared_kernel.events.upcasters import UPCASTERS, Data, upcast
from shared_kernel.privacy.payload import REDACTED, PayloadCodec, UnreadablePayload
from tests.support import samples
from tests.support.samples import KEY, row_of

SAMPLES = samples.read()
CODEC = PayloadCodec(registry())

of_each_sample = pytest.mark.parametrize("topic", sorted(SAMPLES))


def test_every_topic_has_a_stored_sample() -> None:
    assert samples.missing(registry()) == [], "run `python -m tests.support.samples` and commit what it makes"
    assert set(UPCASTERS) - set(SAMPLES) == set(), "a topic that was once written keeps its sample"


@of_each_sample
def test_stored_sample_reads_as_the_newest_version(topic: str) -> None:
    sample = SAMPLES[topic]
    event = CODEC.decode(sample.row, KEY).event
    found = event.model_dump(mode="json")
    assert sample.reads_as == event.TOPIC
    assert {name: found.get(name) for name in sample.fields} == sample.fields, "fields added since then do not count"
    assert CODEC.subject_of(sample.row) == sample.subject


@of_each_sample
def test_sample_of_an_erased_person_reads_too(topic: str) -> None:
    sample = SAMPLES[topic]
    event = CODEC.decode(sample.row, None).event
    personal = {name for name in event.personal_fields() if getattr(event, name) is not None}
    assert {name for name in personal if getattr(event, name) == ERASED} == personal
    assert all(
        value in (REDACTED, sample.fields.get(name, value)) for name, value in CODEC.redacted(sample.row).items()
    )


def test_new_topic_without_a_sample_is_found(tmp_path: Path) -> None:
    known = Registry([BookLentV3])
    assert samples.missing(known, tmp_path) == [BookLentV3.TOPIC]
    (written,) = samples.write_missing(known, tmp_path)
    before = written.read_bytes()
    assert samples.missing(known, tmp_path) == []
    assert samples.write_missing(known, tmp_path) == []
    assert written.read_bytes() == before


READER = UUID("01980000-0000-7000-8000-000000000002")


class BookLentV1(Event):
    """How lending was told at first."""

    TOPIC: ClassVar[str] = "lending.BookLent.v1"
    SUBJECT: ClassVar[str | None] = "reader"

    reader: UUID
    name: Personal
    title: str


class BookLentV2(Event):
    """Then the reader's name was split in two."""

    TOPIC: ClassVar[str] = "lending.BookLent.v2"
    SUBJECT: ClassVar[str | None] = "reader"

    reader: UUID
    first_name: Personal
    last_name: Personal
    title: str


class BookLentV3(Event):
    """And then the books had numbers, and readers were called borrowers."""

    TOPIC: ClassVar[str] = "lending.BookLent.v3"
    SUBJECT: ClassVar[str | None] = "borrower"

    borrower: UUID
    first_name: Personal
    last_name: Personal
    book: dict[str, str]


def second(data: Data) -> tuple[str, Data]:
    first, _, last = data["name"].partition(" ")
    return BookLentV2.TOPIC, {"reader": data["reader"], "title": data["title"], "first_name": first, "last_name": last}


def third(data: Data) -> tuple[str, Data]:
    names = {name: data[name] for name in ("first_name", "last_name")}
    return BookLentV3.TOPIC, {**names, "borrower": data["reader"], "book": {"title": data["title"]}}


STEPS = {BookLentV1.TOPIC: second, BookLentV2.TOPIC: third}
NEWEST = PayloadCodec(Registry([BookLentV3]), STEPS)

STORED = {
    event.TOPIC: row_of(event.TOPIC, codec.encode(event, tenant="default", stream=samples.STREAM, version=1, key=KEY))
    for event, codec in (
        (BookLentV1(reader=READER, name="Ada Lovelace", title="Emma"), PayloadCodec(Registry([BookLentV1]))),
        (
            BookLentV2(reader=READER, first_name="Ada", last_name="Lovelace", title="Emma"),
            PayloadCodec(Registry([BookLentV2])),
        ),
        (BookLentV3(borrower=READER, first_name="Ada", last_name="Lovelace", book={"title": "Emma"}), NEWEST),
    )
}
"""What releases of the past have written, each with its own classes."""


@pytest.mark.parametrize("topic", STORED)
def test_every_version_reads_as_the_third(topic: str) -> None:
    expected = BookLentV3(borrower=READER, first_name="Ada", last_name="Lovelace", book={"title": "Emma"})
    assert NEWEST.decode(STORED[topic], KEY).event == expected
    assert NEWEST.subject_of(STORED[topic]) == str(READER)


@pytest.mark.parametrize("topic", STORED)
def test_an_erased_persons_old_event_leads_to_the_third_version_too(topic: str) -> None:
    event = NEWEST.decode(STORED[topic], None).event
    assert isinstance(event, BookLentV3)
    assert (event.borrower, event.book) == (READER, {"title": "Emma"})
    assert "Lovelace" not in event.model_dump_json()


def test_old_version_without_its_step_is_unknown_and_a_broken_step_is_a_named_fault() -> None:
    codec = PayloadCodec(Registry([BookLentV3]), {BookLentV1.TOPIC: lambda data: (BookLentV3.TOPIC, data["gone"])})
    with pytest.raises(UnreadablePayload, match="cannot be led to its newest version"):
        codec.decode(STORED[BookLentV1.TOPIC], KEY)


def test_steps_in_a_circle_end() -> None:
    circle = {"a.B.v1": lambda data: ("a.B.v2", data), "a.B.v2": lambda data: ("a.B.v1", data)}
    with pytest.raises(ValueError, match="circle"):
        upcast("a.B.v1", {}, circle)


@pytest.mark.parametrize("topic", sorted({**UPCASTERS, **STEPS}))
def test_step_is_pure(topic: str) -> None:
    """Twice the same answer, and what it was given stays as it was."""
    row = STORED[topic] if topic in STEPS else SAMPLES[topic].row
    given = orjson.loads(row.payload)
    before = copy.deepcopy(given)
    step = {**UPCASTERS, **STEPS}[topic]
    assert step(given) == step(given)
    assert given == before
