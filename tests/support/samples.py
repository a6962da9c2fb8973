"""One stored event of each (topic, version), as the log would hold it: `python -m tests.support.samples` adds new ones.

A sample is written once, when its topic is new, and never again: it stands for the history that somebody already has.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from shared_kernel.events import schema
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import JSON, StoredRow
from shared_kernel.events.registry import Registry, registry
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.payload import PayloadCodec
from tests.support.history import METADATA, sealed

FOLDER = Path(__file__).parents[1] / "shared_kernel" / "events" / "samples"
TENANT = "default"
STREAM = "samples-00000000-0000-7000-8000-000000000001"
KEY = SubjectKey(UUID(int=7), bytes(range(32)))
"""Of nobody: samples are about a person who does not exist."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was stored, and what it must read as for ever: topic and fields of the newest version."""

    topic: str
    payload: str
    subject: str | None
    reads_as: str
    fields: Mapping[str, Any]

    @property
    def row(self) -> StoredRow:
        return row_of(self.topic, self.payload.encode())

    def encode(self) -> str:
        kept = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps(kept, indent=2, sort_keys=True) + "\n"


def row_of(topic: str, payload: bytes) -> StoredRow:
    """The first event of the log."""
    facts: dict[str, Any] = {"position": 1, "tenant": TENANT, "tenant_seq": 1, "stream": STREAM, "version": 1}
    store: dict[str, Any] = {"event_id": UUID(int=3), "recorded_at": 0, "slot": 0, "leaf_version": 1, "leaf_hash": b""}
    return sealed(StoredRow(**facts, **store, topic=topic, payload_format=JSON, payload=payload, metadata=METADATA))


def read(folder: Path = FOLDER) -> dict[str, Sample]:
    """The committed samples by the topic they were stored under."""
    kept = (json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json")))
    return {each["topic"]: Sample(**each) for each in kept}


def missing(known: Registry, folder: Path = FOLDER) -> list[str]:
    """The topics that may be appended and have no sample."""
    return sorted(set(known.by_topic) - set(read(folder)))


def write_missing(known: Registry, folder: Path = FOLDER) -> list[Path]:
    """Make the samples that are missing; the others are history."""
    written = []
    for topic in missing(known, folder):
        file = folder / f"{topic}.json"
        file.write_text(sample_of(known.by_topic[topic], known).encode(), encoding="utf-8")
        written.append(file)
    return written


def sample_of(cls: type[Event], known: Registry) -> Sample:
    """An event with a value in each of its fields, as the command service would store it today."""
    document = schema.schema_of(cls)
    event = cls.model_validate({name: _value(document, name, field) for name, field in document["properties"].items()})
    stored = PayloadCodec(known).encode(event, tenant=TENANT, stream=STREAM, version=1, key=KEY)
    subject = event.subject if cls.personal_fields() else None
    return Sample(cls.TOPIC, stored.decode(), subject, cls.TOPIC, event.model_dump(mode="json"))


_FORMATS = {"uuid": "01980000-0000-7000-8000-000000000002", "date-time": "2026-03-12T12:00:00.000000Z"}


def _value(document: Mapping[str, Any], name: str, node: Mapping[str, Any]) -> Any:
    """Something that fits; of several shapes the first."""
    if "$ref" in node:
        return _value(document, name, document["$defs"][node["$ref"].rpartition("/")[2]])
    if "anyOf" in node:
        return _value(document, name, node["anyOf"][0])
    if "enum" in node:
        return node["enum"][0]
    made: dict[str, Callable[[], Any]] = {
        "string": lambda: _FORMATS.get(node.get("format", ""), f"some {name}"),
        "integer": lambda: 7,
        "number": lambda: 7.5,
        "boolean": lambda: True,
        "array": lambda: [_value(document, name, node.get("items", {"type": "string"}))],
        "object": lambda: {key: _value(document, key, each) for key, each in _members(node).items()},
    }
    return made[node["type"]]()


def _members(node: Mapping[str, Any]) -> Mapping[str, Any]:
    others = node.get("additionalProperties")
    return node.get("properties") or {"key": others if isinstance(others, Mapping) else {"type": "integer"}}


if __name__ == "__main__":
    sys.stdout.writelines(f"{file.name}\n" for file in write_missing(registry()))
