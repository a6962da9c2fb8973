"""A column is renamed while two releases work side by side: nobody waits for long, nothing is lost, nobody is cut off.

The steps are those of `renaming/versions/`, which are the pattern for a real one.
"""

from pathlib import Path

import psycopg
import pytest

from shared_kernel import migrations
from shared_kernel.errors import SchemaMismatch
from tests.migrations.releases import RENAMING, Process, release, running
from tests.migrations.script import scripted
from tests.migrations.squawk import faults


def test_a_column_is_renamed_under_load_with_both_releases_at_work(empty_database: str, tmp_path: Path) -> None:
    first, second, third = (release(number, tmp_path) for number in (1, 2, 3))
    migrations.upgrade(empty_database, first)
    with running(Process(1, empty_database, first)) as old:
        migrations.upgrade(empty_database, second)
        with running(Process(2, empty_database, second)) as new, running(Process(1, empty_database, first, {1: ""})):
            pass  # a process of the first release started after the change, as after a crash, works too
    assert set(titles(empty_database, "name")) == set(titles(empty_database, "title"))
    with running(Process(2, empty_database, second, dict(new.written))) as survivor:
        migrations.upgrade(empty_database, third)
        with running(Process(3, empty_database, third)) as newest:
            pass
    kept = dict(titles(empty_database, "title"))
    for process in (old, survivor, newest):
        assert len(process.written) >= 100
        assert {key: kept[key] for key in process.written} == process.written


def test_code_that_the_schema_has_left_behind_is_refused(empty_database: str, tmp_path: Path) -> None:
    first, third = release(1, tmp_path), release(3, tmp_path)
    migrations.upgrade(empty_database, third)
    with (
        psycopg.connect(empty_database) as connection,
        pytest.raises(SchemaMismatch, match="is at revision 0003, this release needs 0001"),
    ):
        migrations.check_blocking(connection, first)
    with pytest.raises(SchemaMismatch, match="is at revision 0003, this release needs 0001"):
        migrations.upgrade(empty_database, first)


async def test_the_release_before_starts_and_migrates_nothing_on_a_schema_that_works_with_it(
    empty_database: str, tmp_path: Path
) -> None:
    first, second = release(1, tmp_path), release(2, tmp_path)
    migrations.upgrade(empty_database, second)
    migrations.upgrade(empty_database, first)
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        await migrations.check(connection, first)
        await migrations.check(connection, second)


def test_code_is_refused_by_the_schema_of_the_release_before(empty_database: str, tmp_path: Path) -> None:
    first, second = release(1, tmp_path), release(2, tmp_path)
    migrations.upgrade(empty_database, first)
    with (
        psycopg.connect(empty_database) as connection,
        pytest.raises(SchemaMismatch, match="is at revision 0001, this release needs 0002; run `twinlog migrate`"),
    ):
        migrations.check_blocking(connection, second)


def test_only_the_contraction_takes_something_away(tmp_path: Path) -> None:
    found = faults(scripted(RENAMING), tmp_path)
    of_a_broken_attempt = {("0002", "ban-drop-constraint")}
    assert {(each.file[-8:-4], each.rule) for each in found} - of_a_broken_attempt == {
        ("0003", "ban-drop-column"),
        ("0003", "ban-drop-function"),
    }


def titles(url: str, column: str) -> list[tuple[int, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(f"SELECT id, {column} FROM shelves".encode()).fetchall()  # noqa: S608 - a constant
