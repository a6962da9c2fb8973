"""A class that breaks what history holds under its topic is refused, with a sentence that says what to do instead."""

import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from uuid import UUID

import orjson
import pytest
from pydantic import BaseModel, Field

from shared_kernel.events import recorded, schema
from shared_kernel.events.compatibility import breaks
from shared_kernel.events.contract import Event, Personal

TOPIC = "lending.BookLent.v1"


class Shelf(BaseModel):
    row: int
    label: str | None = None


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Fewer(StrEnum):
    RED = "red"


class BookLent(Event):
    """Somebody took a book home."""

    TOPIC: ClassVar[str] = TOPIC
    SUBJECT: ClassVar[str | None] = "reader"

    reader: UUID
    book: str
    name: Personal
    days: int = 14
    colour: Colour | None = None
    shelf: Shelf | None = None
    tags: tuple[str, ...] = ()


def changed(remove: str = "", **fields: object) -> dict[str, object]:
    """The schema of the event with fields of another kind: name to (annotation) or (annotation, default)."""
    kept = {name: (each.rebuild_annotation(), each) for name, each in BookLent.model_fields.items() if name != remove}
    given = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    names = {"__annotations__": {name: each[0] for name, each in {**kept, **given}.items()}}
    defaults = {name: each[1] for name, each in {**kept, **given}.items() if each[1] is not ...}
    own = {"TOPIC": TOPIC, "SUBJECT": "reader", "__doc__": BookLent.__doc__, "__module__": __name__}
    return schema.schema_of(type("BookLent", (Event,), {**own, **names, **defaults}))


BREAKING = {
    "removed": (changed(remove="book"), "'book' is gone"),
    "renamed": (changed(remove="book", title=str), "'book' is gone"),
    "narrowed to another type": (changed(days=(str, "14")), "'days' was integer and is string now"),
    "no longer empty": (changed(colour=(Colour, Colour.RED)), "'colour' was null"),
    "fewer values": (changed(colour=(Fewer | None, None)), "'colour' allows fewer values"),
    "one value": (changed(colour=(Literal["red"] | None, None)), "'colour' allows fewer values"),
    "shorter": (changed(book=Annotated[str, Field(max_length=10)]), "'book' has a narrower 'maxLength'"),
    "a form": (changed(book=Annotated[str, Field(pattern="^a")]), "'book' has a narrower 'pattern'"),
    "a format": (changed(book=UUID), "'book' has a narrower 'format'"),
    "new and required": (changed(place=str), "'place' is required now"),
    "required": (changed(days=int), "'days' is required now"),
    "another default": (changed(days=(int, 7)), "'days' has another default"),
    "clear at last": (changed(name=str), "'name' changes its marking x-personal"),
    "personal at last": (changed(book=Personal), "'book' changes its marking x-personal"),
    "narrower inside": (changed(tags=(tuple[int, ...], ())), "'tags[]' was string and is integer now"),
}

HARMLESS = {
    "the same": changed(),
    "a field more with a default": changed(place=(str, "")),
    "wider type": changed(days=(float, 14)),
    "may be empty": changed(book=(str | None)),
    "any value": changed(colour=(str | None, None)),
    "without a format": changed(reader=str),
}


@pytest.mark.parametrize("kind", BREAKING)
def test_breaking_change_is_named(kind: str) -> None:
    after, said = BREAKING[kind]
    assert any(said in sentence for sentence in breaks(changed(), after)), breaks(changed(), after)


@pytest.mark.parametrize("kind", HARMLESS)
def test_change_that_only_adds_is_none_that_breaks(kind: str) -> None:
    assert breaks(changed(), HARMLESS[kind]) == []


def test_objects_inside_are_looked_into() -> None:
    before = changed()
    after = orjson.loads(orjson.dumps(before))
    del after["$defs"]["Shelf"]["properties"]["label"]
    assert breaks(before, after) == ["the field 'shelf.label' is gone (or has another name)"]


def test_bounds_may_widen_and_never_narrow() -> None:
    def bounded(low: int, high: int) -> dict[str, object]:
        return changed(days=(Annotated[int, Field(ge=low, le=high)], 14))

    assert breaks(bounded(1, 20), bounded(0, 30)) == []
    assert len(breaks(bounded(1, 20), bounded(2, 19))) == 2


@pytest.mark.parametrize("word", ["prefixItems", "additionalProperties"])
def test_a_word_that_is_not_understood_counts_as_breaking(word: str) -> None:
    before = {"properties": {"a": {"type": "array"}}}
    after = {"properties": {"a": {"type": "array", word: {"type": "string"}}}}
    assert breaks(before, after) == [f"the field 'a' has a narrower {word!r}"]


def test_types_listed_in_one_word_are_alternatives() -> None:
    before = {"properties": {"a": {"type": ["string", "null"]}}}
    assert breaks(before, {"properties": {"a": {"oneOf": [{"type": "null"}, {"type": "string"}]}}}) == []
    assert breaks(before, {"properties": {"a": {"anyOf": []}}}) == ["the field 'a' may hold nothing any more"] * 2


class Emptied(Event):
    """Somebody took a book home."""

    TOPIC: ClassVar[str] = TOPIC


class Extended(BookLent):
    """Somebody took a book home."""

    place: str = ""


class Lent(Event):
    """Another topic."""

    TOPIC: ClassVar[str] = "lending.Lent.v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schema.write(tmp_path, [BookLent])
    return tmp_path


def test_fault_says_what_to_do(folder: Path) -> None:
    (first, *_) = schema.faults(folder, [Emptied], steps=())
    assert first.breaking
    assert "make the changed class lending.BookLent.v2, and add an upcaster from lending.BookLent.v1" in str(first)


def test_addition_is_to_be_written_and_then_agrees(folder: Path) -> None:
    (fault,) = schema.faults(folder, [Extended], steps=())
    assert (fault.breaking, "run `python -m shared_kernel.events.schema`" in str(fault)) == (False, True)
    schema.write(folder, [Extended])
    assert schema.faults(folder, [Extended], steps=()) == []


def test_new_topic_is_to_be_written(tmp_path: Path) -> None:
    (fault,) = schema.faults(tmp_path, [BookLent], steps=())
    assert (fault.breaking, "no committed schema yet" in str(fault)) == (False, True)


def test_topic_that_nothing_reads_any_more_is_a_fault_until_an_upcaster_leaves_it(folder: Path) -> None:
    (fault,) = schema.faults(folder, [], steps=())
    assert (fault.topic, fault.breaking) == (TOPIC, True)
    assert schema.faults(folder, [], steps=[TOPIC]) == []


class Broken(Event):
    """Somebody took a book home."""

    TOPIC: ClassVar[str] = TOPIC
    SUBJECT: ClassVar[str | None] = "reader"

    reader: UUID
    name: Personal


def said(folder: Path, events: list[type[Event]]) -> list[str]:
    return [fault.sentence for fault in schema.faults(folder, events, steps=()) if fault.breaking]


def test_schema_that_was_deleted_and_written_anew_does_not_hide_a_breaking_change(folder: Path) -> None:
    (folder / schema.file_name(TOPIC)).unlink()
    assert any("is gone: bring the file back" in sentence for sentence in said(folder, [Broken]))
    (folder / schema.file_name(TOPIC)).write_bytes(schema.render(Broken))
    assert any("not the one that was recorded last" in sentence for sentence in said(folder, [Broken]))


def test_list_of_schemas_only_grows(folder: Path) -> None:
    schema.write(folder, [Extended])
    schema.write(folder, [Extended, Lent])
    lines = (folder / recorded.NAME).read_text().splitlines(keepends=True)
    assert [line.split()[2] for line in lines] == [TOPIC, TOPIC, Lent.TOPIC], "nothing is said twice"
    assert said(folder, [Extended, Lent]) == []
    for changed_lines in (lines[1:], lines[:1] + lines[2:], [lines[0].replace(TOPIC, Lent.TOPIC), *lines[1:]]):
        (folder / recorded.NAME).write_text("".join(changed_lines))
        assert any("lines are only added" in sentence for sentence in said(folder, [Extended, Lent]))
    (folder / recorded.NAME).write_text("".join(lines[:2]))
    assert any("its line in recorded.txt is gone" in sentence for sentence in said(folder, [Extended, Lent]))


def run(*arguments: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "shared_kernel.events.schema", *arguments]
    return subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False
    )


def test_generator_never_writes_a_breaking_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema.write(tmp_path)
    victim, other = (tmp_path / f"access.{name}.v1.json" for name in ("RoleGranted", "TenantCreated"))
    wider = orjson.loads(victim.read_bytes())
    wider["properties"]["until"] = {"type": "string"}
    victim.write_bytes(orjson.dumps(wider))
    other.unlink()
    before = {file: file.read_bytes() for file in tmp_path.glob("*.json")}
    assert schema.main([], tmp_path) == 1
    assert "the field 'until' is gone" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in tmp_path.glob("*.json")} == before, "nothing at all is written"


def test_generator_writes_what_only_adds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.main(["--check"], tmp_path) == 1
    assert schema.main([], tmp_path) == 0
    assert schema.main(["--check"], tmp_path) == 0
    assert "no committed schema yet" in capsys.readouterr().err


def test_committed_schemas_agree_with_the_classes() -> None:
    done = run("--check", root=schema.FOLDER.parents[2])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
