"""Holds every event class against the committed schema of its topic and prints, as JSON, where they disagree.

Runs in a process of its own: `python <this file> <root>`. Each entry is [path, line, message].
"""

import importlib
import json
import sys
from pathlib import Path


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    schema = importlib.import_module("shared_kernel.events.schema")
    folder = schema.FOLDER.relative_to(root).as_posix()
    found = [[f"{folder}/{schema.file_name(fault.topic)}", 0, fault.sentence] for fault in schema.faults()]
    print(json.dumps(found))  # noqa: T201 - the answer to the test that started this


if __name__ == "__main__":
    main()
