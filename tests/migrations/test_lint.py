"""No migration takes a lock that stops the service, or takes away what running code still uses."""

from pathlib import Path

import pytest

from tests.migrations.script import TIMEOUTS, Scripted
from tests.migrations.squawk import EXCUSED, NEVER_MATTERS, every_script, faults


def test_no_migration_blocks_or_breaks_running_code(tmp_path: Path) -> None:
    found = faults(every_script(), tmp_path)
    unexcused = [each for each in found if each.rule not in NEVER_MATTERS and (each.file, each.rule) not in EXCUSED]
    assert not unexcused
    idle = NEVER_MATTERS.keys() - {each.rule for each in found}
    idle_for_one = EXCUSED.keys() - {(each.file, each.rule) for each in found}
    assert not idle | idle_for_one, "an exception that excepts nothing"


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("ALTER TABLE resources RENAME COLUMN name TO title", "renaming-column"),
        ("ALTER TABLE resources DROP COLUMN name", "ban-drop-column"),
        ("ALTER TABLE resources ADD COLUMN title text NOT NULL", "adding-required-field"),
        ("ALTER TABLE resources ALTER COLUMN name SET NOT NULL", "adding-not-nullable-field"),
        ("CREATE INDEX resources_title_ix ON resources (title)", "require-concurrent-index-creation"),
        ("ALTER TABLE resources ADD CONSTRAINT named_ck CHECK (name <> '')", "constraint-missing-not-valid"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, statement: str, rule: str) -> None:
    found = faults([Scripted("planted", "0001", f"{TIMEOUTS}BEGIN;\n{statement};\nCOMMIT;\n")], tmp_path)
    assert rule in {each.rule for each in found}


def test_a_script_without_its_timeouts_is_found(tmp_path: Path) -> None:
    found = faults(
        [Scripted("planted", "0001", "BEGIN;\nALTER TABLE resources ADD COLUMN title text;\nCOMMIT;\n")], tmp_path
    )
    assert {each.rule for each in found} == {"require-lock-timeout", "require-statement-timeout"}
