"""The event contracts as JSON Schema, one committed file per topic; `python -m shared_kernel.events.schema` writes it.

The files are the contract that other languages and later releases rely on, and the baseline that the classes are held
against: what only adds to a topic is written, what breaks it is refused and nothing is written at all. So that nobody
gets past by deleting a file and writing it anew, `recorded.txt` has the hash of each. `--check` only looks. Exit code 1
says that something was refused, or that the files are not those of the classes.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from shared_kernel.events import recorded
from shared_kernel.events.compatibility import breaks
from shared_kernel.events.contract import Event
from shared_kernel.events.registry import registry
from shared_kernel.events.upcasters import UPCASTERS

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the committed schema of a topic and its class do not agree; `breaking` ones cannot be written away."""

    topic: str
    sentence: str
    breaking: bool

    def __str__(self) -> str:
        return f"{self.topic}: {self.sentence}"


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The JSON Schema of the payload before encryption.

    A field about a person carries `"x-personal": true`; one that nobody is ever shown `"x-credential": true` as well.
    """
    schema = event.model_json_schema()
    for name in event.personal_fields():
        schema["properties"][name]["x-personal"] = True
    for name in event.credential_fields():
        schema["properties"][name]["x-credential"] = True
    return {"$schema": DIALECT, "$id": f"urn:twinlog:event:{event.TOPIC}", **schema}


def render(event: type[Event]) -> bytes:
    """The file's bytes: indented by two, keys in order, one line break at the end."""
    return orjson.dumps(schema_of(event), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def file_name(topic: str) -> str:
    return f"{topic}.json"


def next_version(topic: str) -> str:
    """`resources.ResourceCreated.v2` for `resources.ResourceCreated.v1`."""
    name, _, number = topic.rpartition(".v")
    return f"{name}.v{int(number) + 1}"


def faults(
    folder: Path = FOLDER, events: Iterable[type[Event]] | None = None, steps: Iterable[str] = UPCASTERS
) -> list[Fault]:
    """What keeps the committed schemas from being those of the classes; steps are the topics that upcasters leave."""
    known = {event.TOPIC: event for event in (registry().by_topic.values() if events is None else events)}
    committed = {file.name.removesuffix(".json") for file in folder.glob("*.json")}
    orphans = [Fault(topic, _LOST, breaking=True) for topic in sorted(committed - set(known) - set(steps))]
    disagreeing = [fault for topic in sorted(known) for fault in _faults_of(known[topic], folder)]
    return [*_unrecorded(folder, committed), *disagreeing, *orphans]


def write(folder: Path = FOLDER, events: Iterable[type[Event]] | None = None) -> list[Path]:
    """Writes the schemas of all registered events; files of topics that history may still hold stay where they are.

    A topic whose committed schema the class would break must not be written: ask `faults` before.
    """
    folder.mkdir(exist_ok=True)
    chosen = registry().by_topic.values() if events is None else events
    files = {folder / file_name(event.TOPIC): render(event) for event in sorted(chosen, key=lambda each: each.TOPIC)}
    for file, content in files.items():
        file.write_bytes(content)
    recorded.add(folder, {file.name.removesuffix(".json"): recorded.digest_of(each) for file, each in files.items()})
    return list(files)


_LOST = "no class reads this topic any more, but history may hold it: keep its class, or add an upcaster from it."
_NEW = "has no committed schema yet: run `python -m shared_kernel.events.schema`."
_ADDED = "only adds to what is committed: run `python -m shared_kernel.events.schema` and review the change."


_GONE = "its schema was committed and is gone: bring the file back as it was."
_CHANGED = "its committed schema is not the one that was recorded last: bring the file back as it was."
_SILENT = "its schema is committed, and its line in recorded.txt is gone: bring it back."
_BROKEN = "its line in recorded.txt, or one before it, was changed or taken away: lines are only added."


def _unrecorded(folder: Path, committed: Iterable[str]) -> Iterator[Fault]:
    """Where the files are not those that were recorded, so that what follows would be held against the wrong ones."""
    try:
        known = recorded.read(folder)
    except recorded.ListChanged as changed:
        yield Fault(str(changed), _BROKEN, breaking=True)
        return
    for topic in sorted({*known, *committed}):
        file = folder / file_name(topic)
        if topic not in known:
            yield Fault(topic, _SILENT, breaking=True)
        elif not file.exists():
            yield Fault(topic, _GONE, breaking=True)
        elif recorded.digest_of(file.read_bytes()) != known[topic]:
            yield Fault(topic, _CHANGED, breaking=True)


def _faults_of(event: type[Event], folder: Path) -> Iterator[Fault]:
    file = folder / file_name(event.TOPIC)
    if not file.exists():
        yield Fault(event.TOPIC, _NEW, breaking=False)
    elif (committed := file.read_bytes()) != render(event):
        broken = breaks(orjson.loads(committed), schema_of(event))
        yield from (Fault(event.TOPIC, f"{why}. {_advice(event.TOPIC)}", breaking=True) for why in broken)
        if not broken:
            yield Fault(event.TOPIC, _ADDED, breaking=False)


def _advice(topic: str) -> str:
    return (
        f"History keeps events of this topic for ever: leave its schema as it is, make the changed class "
        f"{next_version(topic)}, and add an upcaster from {topic} (shared_kernel/events/upcasters.py)."
    )


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """The command's exit code."""
    parser = argparse.ArgumentParser(prog="python -m shared_kernel.events.schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only look, write nothing")
    check = parser.parse_args(arguments).check
    found = [fault for fault in faults(folder) if check or fault.breaking]
    sys.stderr.writelines(f"{fault}\n" for fault in found)
    if found:
        return 1
    if not check:
        sys.stdout.writelines(f"{file.name}\n" for file in write(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
