"""The key vault's database: bringing it to this release's schema, and what each service may do in it.

The command service adds keys, the query service reads them; neither may change or delete one.
"""

from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, sql

from shared_kernel import migrations

FOLDER = Path(__file__).parents[1] / "vault_migrations"

_EVERYBODY = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
    "GRANT USAGE ON SCHEMA public TO {role}",
    "GRANT SELECT ON alembic_version, subject_keys, erased_subjects TO {role}",
)
_WRITER = (*_EVERYBODY, "GRANT INSERT ON subject_keys TO {role}")


def upgrade(owner_url: str, writer_role: str | None, reader_role: str | None) -> None:
    """Bring the vault to the newest revision and give both roles their rights; repeatable.

    Raises psycopg.Error when the database refuses and SchemaMismatch when it is newer than this release.
    """
    grants = (*_grants(_EVERYBODY, reader_role), *_grants(_WRITER, writer_role))
    migrations.upgrade(owner_url, FOLDER, grants=grants)


def head() -> str:
    """The schema revision this release needs."""
    return migrations.head(FOLDER)


async def check(connection: AsyncConnection[Any]) -> None:
    """Raises SchemaMismatch unless the vault is at this release's revision."""
    await migrations.check(connection, FOLDER)


def _grants(statements: tuple[str, ...], role: str | None) -> list[sql.Composed]:
    return [sql.SQL(statement).format(role=sql.Identifier(role)) for statement in statements] if role else []
