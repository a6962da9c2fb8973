"""Most tests are quick: at least 70 of 100 need no engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.census import unit_share
from tests.architecture.rules.catalogue import PROJECT

REQUIRED_SHARE = 0.70


def census(tests: Path, tmp_path: Path, *options: str) -> dict[str, int]:
    """Tests by level, as pytest itself collects them."""
    answer = tmp_path / "census.json"
    collect = [sys.executable, "-m", "pytest", "-p", "tests.architecture.census", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*collect, *options, "--collect-only", "-q", "--census", str(answer), str(tests)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts: dict[str, int] = json.loads(answer.read_text(encoding="utf-8"))
    return counts


def test_at_least_seventy_percent_are_unit_tests(tmp_path: Path) -> None:
    counts = census(PROJECT / "tests", tmp_path)
    assert unit_share(counts) >= REQUIRED_SHARE, counts


def test_level_follows_from_the_engines_a_test_asks_for(tmp_path: Path) -> None:
    suite = tmp_path / "test_levels.py"
    suite.write_text(
        "def test_rule(): ...\n"
        "def test_store(command_database): ...\n"
        "def test_delivery(redis_url): ...\n"
        "def test_story(stack): ...\n",
        encoding="utf-8",
    )
    counts = census(suite, tmp_path, "-c", "pyproject.toml", "--rootdir", ".", "-p", "tests.conftest")
    assert counts == {"unit": 1, "integration": 2, "e2e": 1}


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        ({"unit": 70, "integration": 20, "e2e": 10}, True),
        ({"unit": 69, "integration": 21, "e2e": 10}, False),
        ({}, False),
    ],
)
def test_pyramid_stands_on_its_base(counts: dict[str, int], enough: bool) -> None:
    assert (unit_share(counts) >= REQUIRED_SHARE) is enough
