"""The event contracts as JSON Schema, one committed file per topic; `python -m shared_kernel.events.schema` writes it.

The files are the contract that other languages and later releases rely on; a change of a class shows in them.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

from shared_kernel.events.contract import Event
from shared_kernel.events.registry import registry

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


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


def write(folder: Path = FOLDER) -> list[Path]:
    """Writes the schemas of all registered events; files of topics that history may still hold stay where they are."""
    folder.mkdir(exist_ok=True)
    written = []
    for topic, event in sorted(registry().by_topic.items()):
        file = folder / file_name(topic)
        file.write_bytes(render(event))
        written.append(file)
    return written


if __name__ == "__main__":
    sys.stdout.writelines(f"{file.name}\n" for file in write())
