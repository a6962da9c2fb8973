"""The SQL that each revision would run, as one script per revision, without a database."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from shared_kernel.migrations import LOCK_TIMEOUT, STATEMENT_TIMEOUT, configuration

TIMEOUTS = f"SET lock_timeout = '{LOCK_TIMEOUT}';\nSET statement_timeout = '{STATEMENT_TIMEOUT}';\n"
"""What the connection that runs them sets first."""


@dataclass(frozen=True, slots=True)
class Scripted:
    """One revision of one script folder, as SQL."""

    folder: str
    revision: str
    sql: str

    @property
    def file_name(self) -> str:
        return f"{self.folder}-{self.revision}.sql"


def revisions(folder: Path) -> Iterator[Script]:
    """From the first to the newest."""
    yield from reversed(list(ScriptDirectory.from_config(configuration(folder)).walk_revisions()))


def scripted(folder: Path) -> Iterator[Scripted]:
    label = f"{folder.parent.name}-{folder.name}"
    for script in revisions(folder):
        written = io.StringIO()
        context = MigrationContext.configure(
            dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written, "literal_binds": True}
        )
        with Operations.context(context):
            script.module.upgrade()
        yield Scripted(label, script.revision, f"{TIMEOUTS}BEGIN;\n{written.getvalue()}COMMIT;\n")
