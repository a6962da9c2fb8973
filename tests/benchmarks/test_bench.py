"""The measurement measures: every contestant appends, and the report says what a reader needs to judge it."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import contestants, rivals
from tests.benchmarks.__main__ import main
from tests.benchmarks.appends import DAILY, DEMANDS, FULL, rows_of
from tests.benchmarks.rivals import CONTESTANTS, FROM_NPM, why_no_packages
from tests.benchmarks.section import Plan

SHORT = [f"{name}/1" for name in ("library", "library-unsafe", "plain-insert", "copy", "persistence-module")]
SHORT += ["events-only/1", "everything/32", "without-leaf/32", "read-by-id/32/at-10k"]


@pytest.mark.integration
def test_short_run_reports_every_contestant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    main(["--section", "appends", "--seconds", "0.2", "--rounds", "1", "--out", str(out), "--only", *SHORT])
    report = json.loads((out / "bench-appends.json").read_text())
    assert list(report["figures"]) == [row.name for row in rows_of(Plan(only=frozenset(SHORT)))]
    assert set(report["figures"]) == set(SHORT)
    assert all(figures["per_second"] > 0 for figures in report["figures"].values())
    assert report["settings"]["fsync"] == report["settings"]["synchronous_commit"] == "on"
    assert report["versions"]["eventsourcing"]
    assert [ratio["ours"] for ratio in report["ratios"]] == ["events-only/1"]
    assert "everything/32" in capsys.readouterr().out


@pytest.mark.integration
def test_packages_from_npm_are_measured_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{name}/8" for name in sorted(FROM_NPM)]
    main(["--section", "appends", "--seconds", "0.2", "--rounds", "1", "--out", str(tmp_path), "--only", *rows])
    report = json.loads((tmp_path / "bench-appends.json").read_text())
    assert set(report["not_run"] if why_no_packages() else report["figures"]) == set(rows)


def test_without_node_nothing_from_npm_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert why_no_packages() == "there is no Node here"


def test_npm_that_does_not_come_to_an_end_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("npm", "node"):
        (tmp_path / name).write_text("#!/bin/sh\nexec /bin/sleep 60\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(rivals, "MESSAGE_DB", tmp_path / "not-installed")
    monkeypatch.setattr(rivals, "NPM_SECONDS", 0.2)
    assert why_no_packages() == "npm had not installed it after 0.2 seconds"


async def test_slow_machine_measures_each_writer_once_at_least() -> None:
    async def once() -> None:
        pass

    assert len(contestants.in_threads(lambda: None, contestants.Load("", 3, seconds=0)).latencies) >= 3
    assert len((await contestants.in_tasks([once] * 3, seconds=0)).latencies) >= 3


def test_lock_file_of_the_packages_names_no_place() -> None:
    lock = json.loads((Path(__file__).parent / "peers" / "package-lock.json").read_text())
    assert all("resolved" not in package for package in lock["packages"].values())


def test_every_contestant_is_in_the_table_and_every_demand_is_about_the_table() -> None:
    names = {row.name for row in (*DAILY, *FULL)}
    assert {row.contestant for row in (*DAILY, *FULL)} == set(CONTESTANTS)
    assert all({demand.ours, demand.theirs} <= names for demand in DEMANDS)
    assert len(names) == len({*DAILY, *FULL})
