"""Bringing a database to its schema: once, in order, by one process at a time, and never backwards."""

import multiprocessing
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from command_service.infrastructure import schema
from shared_kernel import migrations
from shared_kernel.errors import SchemaMismatch
from tests.support.cluster import Database
from tests.support.processes import wait_until

SCRIPT = """
from alembic import op

revision = "{revision}"
down_revision = {parent}


def upgrade() -> None:
    op.execute("{statement}")
"""


def script_folder(folder: Path, *statements: str) -> Path:
    """An Alembic folder with one script per statement."""
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text("from shared_kernel.migrations import run\n\nrun()\n")
    for number, statement in enumerate(statements, 1):
        parent = f'"{number - 1:04}"' if number > 1 else "None"
        text = SCRIPT.format(revision=f"{number:04}", parent=parent, statement=statement)
        (folder / "versions" / f"{number:04}.py").write_text(text)
    return folder


def test_second_upgrade_changes_nothing(empty_database: str) -> None:
    schema.upgrade(empty_database, None)
    with psycopg.connect(empty_database) as owner:
        before = owner.execute("SELECT installation_id FROM installation").fetchone()
    schema.upgrade(empty_database, None)
    with psycopg.connect(empty_database) as owner:
        assert owner.execute("SELECT installation_id FROM installation").fetchone() == before


def test_many_processes_may_upgrade_at_once(empty_database: str, tmp_path: Path) -> None:
    folder = script_folder(tmp_path / "scripts", "CREATE TABLE one (x int)", "CREATE TABLE two (x int)")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(migrations.upgrade, [(empty_database, folder)] * 4)
    with psycopg.connect(empty_database) as owner:
        migrations.check_blocking(owner, folder)


def test_failed_script_leaves_the_revision_before_it(empty_database: str, tmp_path: Path) -> None:
    folder = script_folder(tmp_path / "scripts", "CREATE TABLE one (x int)", "CREATE TABLE one (x int)")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrations.upgrade(empty_database, folder)
    with (
        psycopg.connect(empty_database) as owner,
        pytest.raises(SchemaMismatch, match="is at revision 0001, this release needs 0002"),
    ):
        migrations.check_blocking(owner, folder)


def test_script_does_not_wait_for_a_table_that_is_in_use(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT", "100ms")
    folder = script_folder(tmp_path / "scripts", "CREATE TABLE one (x int)")
    migrations.upgrade(empty_database, folder)
    script_folder(folder, "CREATE TABLE one (x int)", "ALTER TABLE one ADD COLUMN y int")
    with psycopg.connect(empty_database) as reader:
        reader.execute("SELECT x FROM one")
        began = time.monotonic()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            migrations.upgrade(empty_database, folder)
        assert time.monotonic() - began < 30


def test_database_of_a_newer_release_is_refused(empty_database: str, tmp_path: Path) -> None:
    newer = script_folder(tmp_path / "newer", "CREATE TABLE one (x int)", "CREATE TABLE two (x int)")
    older = script_folder(tmp_path / "older", "CREATE TABLE one (x int)")
    migrations.upgrade(empty_database, newer)
    with pytest.raises(SchemaMismatch, match="is at revision 0002, this release needs 0001"):
        migrations.upgrade(empty_database, older)


async def test_check_names_both_revisions(empty_database: str, tmp_path: Path) -> None:
    folder = script_folder(tmp_path / "scripts", "CREATE TABLE one (x int)")
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        with pytest.raises(SchemaMismatch, match="is empty, this release needs 0001; run `twinlog migrate`"):
            await migrations.check(connection, folder)
    migrations.upgrade(empty_database, folder)
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        await migrations.check(connection, folder)


def test_schema_of_any_name_is_made_and_granted(command_database: Database, tmp_path: Path) -> None:
    folder = script_folder(tmp_path / "scripts", "CREATE TABLE one (x int)")
    with psycopg.connect(command_database.owner_url) as owner:
        owner.execute("CREATE SCHEMA IF NOT EXISTS odd")
    role = sql.Identifier(str(psycopg.conninfo.conninfo_to_dict(command_database.app_url)["user"]))
    grants = [
        sql.SQL("GRANT USAGE ON SCHEMA odd TO {}").format(role),
        sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA odd TO {}").format(role),
    ]
    migrations.upgrade(command_database.owner_url, folder, schema="odd", grants=grants)
    with psycopg.connect(command_database.app_url) as app:
        migrations.check_blocking(app, folder, schema="odd")
        assert app.execute("SELECT count(*) AS rows FROM odd.one").fetchone() == (0,)


def test_folder_without_scripts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaMismatch, match="no migration"):
        migrations.head(script_folder(tmp_path / "scripts"))


def test_who_queues_does_not_hold_up_an_index_that_is_made_beside_the_traffic(empty_database: str) -> None:
    entered = threading.Event()

    def queue() -> None:
        with migrations.alone(empty_database):
            entered.set()

    with psycopg.connect(empty_database, autocommit=True) as owner:
        owner.execute("CREATE TABLE books (title text)")
        owner.execute("SET lock_timeout = '30s'")
        with migrations.alone(empty_database):
            waiting = threading.Thread(target=queue)
            waiting.start()
            wait_until(lambda: sessions_of_migrations(owner) == 2, "somebody who queues")
            waiting.join(0.5)  # with what is queued for
            owner.execute("CREATE INDEX CONCURRENTLY books_title ON books (title)")
            assert not entered.is_set()
    waiting.join(30)
    assert entered.is_set()


def sessions_of_migrations(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "SELECT count(*) AS sessions FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = %s",
        (migrations.APPLICATION,),
    ).fetchone()
    return row[0] if row else 0
