"""Linting migrations for what blocks others or breaks running code, with squawk; every exception has its reason."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from command_service.infrastructure import schema as command_schema
from command_service.infrastructure import vault_schema
from query_service.infrastructure import schema as query_schema
from tests.migrations.script import Scripted, scripted

FOLDERS = (command_schema.FOLDER, vault_schema.FOLDER, query_schema.FOLDER)
OLDEST_POSTGRESQL = "15.0"

NEVER_MATTERS = {
    "prefer-bigint-over-int": "epochs, partitions, generations, attempts: their range is known, and it is small",
    "prefer-bigint-over-smallint": "slots (1,024), formats and HTTP status codes: the same",
}
BEFORE_THE_FIRST_RELEASE = "no log with data in it has met this revision: it came before the first release"
EXCUSED = {
    ("command_service-migrations-0006.sql", "require-concurrent-index-creation"): BEFORE_THE_FIRST_RELEASE,
    ("query_service-migrations-0003.sql", "require-concurrent-index-creation"): BEFORE_THE_FIRST_RELEASE,
}
"""Single revisions. Do not add to them: `with op.get_context().autocommit_block():` makes an index concurrently."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What squawk says of one statement."""

    file: str
    line: int
    rule: str
    message: str


def every_script() -> list[Scripted]:
    return [script for folder in FOLDERS for script in scripted(folder)]


def faults(scripts: Iterable[Scripted], folder: Path) -> list[Fault]:
    """All of them, excused or not; the scripts are written into `folder`, which must be empty."""
    for script in scripts:
        (folder / script.file_name).write_text(script.sql)
    program = str(Path(sys.executable).with_name("squawk"))
    options = ["--reporter", "json", "--pg-version", OLDEST_POSTGRESQL]
    ended = subprocess.run(
        [program, *options, *sorted(path.name for path in folder.iterdir())],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = json.loads(ended.stdout or "[]")
    assert ended.returncode in {0, 1}, ended.stderr
    return [Fault(Path(each["file"]).name, each["line"], each["rule_name"], each["message"]) for each in found]
