"""Bringing a database to the schema that a release needs, and refusing to run on any other.

A service's script folder is an ordinary Alembic folder whose `env.py` only calls `run()`. Scripts use unqualified
names: `upgrade` puts the wanted schema first in the search path, and functions pin it with
`SET search_path FROM CURRENT`. Revisions are numbered in four digits and go forward only. One that leaves code of
earlier releases working says so: `works_since = "0007"` names the oldest revision whose code still runs on it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from psycopg.rows import tuple_row
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from shared_kernel.errors import SchemaMismatch

ADVISORY_LOCK = 0x7477_696E_6C6F_6701
"""Held while a database is migrated ("twinlog" and a serial number), so that processes starting together queue."""

APPLICATION = "twinlog-migrate"

WORKS_SINCE = "works_since"

Installed = tuple[str, str | None] | None
"""The revision of a database with what it promises to older code; None for an empty one."""

QUEUE_SECONDS = 120.0
LOOK_EVERY = 0.05
LOCK_TIMEOUT = "5s"
STATEMENT_TIMEOUT = "600s"


def upgrade(owner_url: str, folder: Path, *, schema: str = "public", grants: Sequence[sql.Composed] = ()) -> None:
    """Bring `schema` of the database behind `owner_url` (any libpq URL) to the newest revision, then apply `grants`.

    Safe to call from many processes at once and on an empty database; a second call changes nothing, and neither does
    one on a newer schema that says it works with this release.
    Raises psycopg.Error when the database refuses and SchemaMismatch when it is newer than this release.
    """
    with alone(owner_url) as guard:
        if schema != "public":  # which is there in every database, and its owner may lack the right to create schemas
            guard.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
            guard.commit()
        try:
            _run_scripts(partial(_connect, owner_url, schema), folder, schema)
        except CommandError:
            _compare(_installed(guard, schema), folder)
            return
        except DBAPIError as error:
            raise (error.orig or error) from error
        for grant in (*grants, _promise(folder, schema)):
            guard.execute(grant)


@contextmanager
def alone(owner_url: str) -> Iterator[psycopg.Connection]:
    """A connection that holds the migration lock of its database; whoever else wants to change the schema queues.

    The lock belongs to the session and ends with it. Raises psycopg.Error.
    """
    with psycopg.connect(owner_url, application_name=APPLICATION) as connection:
        _limit(connection)
        _queue(connection)
        yield connection


def _queue(connection: psycopg.Connection) -> None:
    """Asks again and again: a statement that waits holds a snapshot, which CREATE INDEX CONCURRENTLY would wait for."""
    deadline = time.monotonic() + QUEUE_SECONDS
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s) AS mine", (ADVISORY_LOCK,)).fetchone()
        connection.commit()
        if row == (True,):
            return
        if time.monotonic() > deadline:
            raise psycopg.errors.LockNotAvailable(f"Somebody has been migrating this database for {QUEUE_SECONDS:g} s.")
        time.sleep(LOOK_EVERY)


def head(folder: Path) -> str:
    """The newest revision in a script folder."""
    revision = ScriptDirectory.from_config(configuration(folder)).get_current_head()
    if revision is None:
        raise SchemaMismatch(f"There is no migration in {folder.name}.")
    return revision


async def check(connection: psycopg.AsyncConnection[Any], folder: Path, *, schema: str = "public") -> None:
    """Raises SchemaMismatch unless `schema` is at this release's revision, or at a newer one that works with it."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_EXISTS, (_version_table(schema),))
        if (await cursor.fetchone()) == (True,):
            await cursor.execute(_revision_query(schema), (_version_table(schema),))
            found = await cursor.fetchone()
        else:
            found = None
    _compare(found, folder)


def check_blocking(connection: psycopg.Connection[Any], folder: Path, *, schema: str = "public") -> None:
    """The same as `check`, for code that runs in threads."""
    _compare(_installed(connection, schema), folder)


def run() -> None:
    """What every `env.py` calls: run the scripts on the connection that `upgrade` has opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        version_table_schema=context.config.attributes["schema"],
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


_EXISTS = "SELECT to_regclass(%s) IS NOT NULL AS installed"


def _run_scripts(connect: Callable[[], psycopg.Connection], folder: Path, schema: str) -> None:
    config = configuration(folder)
    with create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool).connect() as connection:
        config.attributes.update(connection=connection, schema=schema)
        command.upgrade(config, "head")


def _connect(owner_url: str, schema: str) -> psycopg.Connection:
    """For the scripts: the schema is where unqualified names are created and looked up."""
    connection = psycopg.connect(owner_url, application_name=APPLICATION)
    connection.execute(sql.SQL("SET search_path = {}, pg_temp").format(sql.Identifier(schema)))
    _limit(connection)
    return connection


def _limit(connection: psycopg.Connection) -> None:
    connection.execute(sql.SQL("SET lock_timeout = {}").format(LOCK_TIMEOUT))
    connection.execute(sql.SQL("SET statement_timeout = {}").format(STATEMENT_TIMEOUT))
    connection.commit()


def configuration(folder: Path) -> Config:
    """Alembic's own settings for a script folder."""
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _version_table(schema: str) -> str:
    return sql.Identifier(schema, "alembic_version").as_string()


def _revision_query(schema: str) -> sql.Composed:
    return sql.SQL("SELECT version_num, obj_description(to_regclass(%s), 'pg_class') AS promise FROM {}").format(
        sql.Identifier(schema, "alembic_version")
    )


def _installed(connection: psycopg.Connection[Any], schema: str) -> Installed:
    with connection.cursor(row_factory=tuple_row) as cursor:
        if cursor.execute(_EXISTS, (_version_table(schema),)).fetchone() != (True,):
            return None
        return cursor.execute(_revision_query(schema), (_version_table(schema),)).fetchone()


def _promise(folder: Path, schema: str) -> sql.Composed:
    """Which releases the newest revision works with, kept where older ones can read it, and tied to that revision."""
    newest = head(folder)
    since = getattr(ScriptDirectory.from_config(configuration(folder)).get_revision(newest).module, WORKS_SINCE, newest)
    text = sql.Literal(_promised(newest, since))
    return sql.SQL("COMMENT ON TABLE {} IS {}").format(sql.Identifier(schema, "alembic_version"), text)


def _promised(revision: str, since: str) -> str:
    return f"{revision} works with code since {since}"


def _compare(installed: Installed, folder: Path) -> None:
    found, promise = (None, None) if installed is None else installed
    needed = head(folder)
    if found == needed or (found and promise and _works(found, promise, needed)):
        return
    raise _mismatch(found, needed)


def _works(found: str, promise: str, needed: str) -> bool:
    """Whether the newer schema that was found says that code which needs this one may run on it."""
    since = promise.removeprefix(_promised(found, ""))
    return since != promise and since <= needed < found


def _mismatch(found: str | None, needed: str) -> SchemaMismatch:
    state = "is empty" if found is None else f"is at revision {found}"
    return SchemaMismatch(f"The database schema {state}, this release needs {needed}; run `twinlog migrate`.")
