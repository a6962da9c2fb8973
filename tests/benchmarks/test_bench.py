"""The measurement measures: every contestant appends, and the report says what a reader needs to judge it."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.appends import DEMANDS, ROWS
from tests.benchmarks.contestants import CONTESTANTS

SHORT = ["library/1", "persistence-module/1", "plain-insert/1", "events-only/1", "everything/32"]


@pytest.mark.integration
def test_short_run_reports_every_contestant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results"
    main(["--section", "appends", "--seconds", "0.2", "--rounds", "1", "--out", str(out), "--only", *SHORT])
    report = json.loads((out / "bench-appends.json").read_text())
    assert list(report["figures"]) == [row.name for row in ROWS if row.name in SHORT]
    assert all(figures["per_second"] > 0 for figures in report["figures"].values())
    assert report["settings"]["fsync"] == report["settings"]["synchronous_commit"] == "on"
    assert report["versions"]["eventsourcing"]
    assert [ratio["ours"] for ratio in report["ratios"]] == ["events-only/1"]
    assert "everything/32" in capsys.readouterr().out


def test_every_contestant_is_in_the_table_and_every_demand_is_about_the_table() -> None:
    names = {row.name for row in ROWS}
    assert {row.contestant for row in ROWS} == set(CONTESTANTS)
    assert all({demand.ours, demand.theirs} <= names for demand in DEMANDS)
