"""The command database's schema: bringing it to head, granting the service its rights, refusing other revisions."""

from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from shared_kernel import migrations

FOLDER = Path(__file__).parent.parent / "migrations"

DEFAULT_PARTITIONS = 8

_INSTALL = """
INSERT INTO {}.installation (partitions) VALUES ({}) ON CONFLICT ON CONSTRAINT installation_only_row DO NOTHING
"""

_WRITERS = ("append_events_v1", "save_snapshots_v1", "advance_tracking_v1", "forget_answers_v1", "keep_snapshot_v1")


def upgrade(
    owner_url: str, app_role: str | None, *, schema: str = "public", partitions: int = DEFAULT_PARTITIONS
) -> None:
    """Bring the log's schema to head, install it once, and let `app_role` read everything and call the functions.

    `partitions` counts only for a new installation: which partition a stream is in never changes afterwards.
    Safe to call from many processes at once. Raises psycopg.Error or SchemaMismatch.
    """
    install = sql.SQL(_INSTALL).format(sql.Identifier(schema), sql.Literal(partitions))
    grants = [] if app_role is None else _grants(sql.Identifier(schema), sql.Identifier(app_role))
    migrations.upgrade(owner_url, FOLDER, schema=schema, grants=[install, *grants])


def head() -> str:
    """The revision that this release needs."""
    return migrations.head(FOLDER)


async def check(connection: psycopg.AsyncConnection[Any], *, schema: str = "public") -> None:
    """Raises SchemaMismatch unless the database is at `head()`."""
    await migrations.check(connection, FOLDER, schema=schema)


def check_blocking(connection: psycopg.Connection[Any], *, schema: str = "public") -> None:
    """The same as `check`, for the persistence module's threads."""
    migrations.check_blocking(connection, FOLDER, schema=schema)


def _grants(schema: sql.Identifier, role: sql.Identifier) -> list[sql.Composed]:
    executes = [
        sql.SQL("GRANT EXECUTE ON FUNCTION {}.{} TO {}").format(schema, sql.Identifier(function), role)
        for function in _WRITERS
    ]
    return [
        sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role),
        sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, role),
        sql.SQL("GRANT INSERT, UPDATE ON {}.publication TO {}").format(schema, role),  # the relay's memory aid
        sql.SQL("GRANT INSERT ON {}.log_sums TO {}").format(schema, role),  # what it adds up to, written once
        *executes,
    ]
