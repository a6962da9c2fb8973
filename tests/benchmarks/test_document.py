"""The document says what was measured, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import document, plot
from tests.benchmarks.section import Demand

REPORT: dict[str, Any] = {
    "at": "2026-11-23T20:00:00+00:00",
    "commit": "0123456789",
    "machine": {
        "cpus": 2,
        "processor": "Some processor",
        "system": "Linux",
        "python": "3.11.7",
        "load": 0.5,
        "real_time_scheduling": True,
    },
    "title": "Appends",
    "seconds": 2.0,
    "rounds": 3,
    "figures": {
        "ours/1": {"per_second": 1234.5, "p50_ms": 0.5},
        "ours/32": {"per_second": 20_000, "p50_ms": 1.25},
        "theirs/32": {"per_second": 1_000, "p50_ms": 30},
    },
    "ratios": [],
    "runs": {"ours/1": [{}], "ours/32": [{}] * 3, "theirs/32": [{}] * 3},
    "not_run": {"emmett/32": "there is no Node here"},
}

TEXT = "before\n<!-- bench: some -->\nold\n<!-- end -->\nafter\n"


def kept(folder: Path) -> Path:
    (folder / "bench-some.json").write_text(json.dumps(REPORT))
    (folder / "other.json").write_text(json.dumps({"rounds": 7}))
    return folder


def test_tables_of_the_document_are_those_of_the_results() -> None:
    text = document.DOCUMENT.read_text()
    assert document.written(text) == text, "python -m tests.benchmarks.document"


def test_every_figure_of_the_document_stands_in_a_results_file() -> None:
    assert document.undocumented(document.DOCUMENT.read_text()) == []


def test_part_between_the_marks_is_made_anew_and_nothing_else(tmp_path: Path) -> None:
    written = document.written(TEXT, kept(tmp_path))
    assert written.startswith("before\n<!-- bench: some -->\n")
    assert written.endswith("<!-- end -->\nafter\n")
    assert "| ours/32 | 20,000 | 1.25 | 3 |" in written
    assert "as many rounds as each row says" in written
    assert "- emmett/32: not run, there is no Node here" in written
    assert "old" not in written
    assert document.written(written, tmp_path) == written


def test_rows_are_judged_by_what_is_demanded_now(tmp_path: Path) -> None:
    demands = {
        "some": (Demand("ours/32", "theirs/32", 18, 25), Demand("ours/32", "theirs/32", 21), Demand("a", "b", 1))
    }
    written = document.written(TEXT, kept(tmp_path), demands)
    assert "- ours/32 = 20.0 x theirs/32 (at least 18, goal 25): reached" in written
    assert "- ours/32 = 20.0 x theirs/32 (at least 21): FALLS SHORT" in written
    assert written.count(" x ") == 2


def test_rounds_are_said_once_when_they_are_the_same(tmp_path: Path) -> None:
    runs: dict[str, Any] = {name: [{}] * 3 for name in REPORT["figures"]}
    (tmp_path / "bench-some.json").write_text(json.dumps({**REPORT, "runs": runs}))
    written = document.written(TEXT, tmp_path)
    assert "| ours/32 | 20,000 | 1.25 |\n" in written
    assert "runs of 2 s, 3 rounds, real-time" in written


def test_part_without_results_says_so(tmp_path: Path) -> None:
    assert "Not measured yet." in document.written(TEXT, tmp_path)


@pytest.mark.parametrize(
    ("text", "planted"),
    [
        ("`docs/results/bench-some.json`: 20,000 a second, 1,234 with one writer, in 1.25 ms.", []),
        ("`docs/results/bench-some.json`: 21,000 a second.", ["21,000"]),
        ("`docs/results/bench-some.json`: 1.26 ms.", ["1.26"]),
        ("## Some\n\nIt stands in docs/results/bench-some.json.\n\nIt reaches 20,000 a second.", []),
        ("<!-- bench: some -->\n77\n<!-- end -->\n\nIt reaches 20,000 a second.", []),
        ("It reaches 20,000 a second.", ["20,000"]),
        ("docs/results/bench-some.json\n\n## Others\n\nIt reaches 20,000 a second.", ["20,000"]),
        ("docs/results/bench-some.json\n\n- docs/results/other.json: 20,000 a second.", ["20,000"]),
        ("docs/results/bench-some.json\n\n- docs/results/other.json: 7 rounds, in decision 20.", []),
        ("Port `5432`, [a link](0017-x.md), PostgreSQL's uuid7, ```\n99\n```", []),
        ("<!-- bench: x -->\n77\n<!-- end -->", []),
        ("# 3 ways", []),
    ],
)
def test_figure_that_nobody_measured_is_found(tmp_path: Path, text: str, planted: list[str]) -> None:
    assert document.undocumented(text, kept(tmp_path)) == planted


def test_rates_over_the_number_of_writers_are_drawn(tmp_path: Path) -> None:
    assert plot.draw(REPORT, tmp_path / "first.svg")
    drawn = (tmp_path / "first.svg").read_text()
    assert "ours" in drawn
    assert "theirs" not in drawn, "one point is no line"
    plot.draw(REPORT, tmp_path / "second.svg")
    assert (tmp_path / "second.svg").read_text() == drawn


def test_nothing_is_drawn_of_a_section_without_numbers_of_writers(tmp_path: Path) -> None:
    assert not plot.draw({"title": "", "figures": {"ours/post": {"per_second": 1}}}, tmp_path / "none.svg")
    assert not (tmp_path / "none.svg").exists()


def test_demand_falls_short_or_is_reached() -> None:
    rows = {"a": {"per_second": 100.0}, "b": {"per_second": 50.0}}
    for demand, reached in (
        (Demand("a", "b", 2), True),
        (Demand("a", "b", 2.1), False),
        (Demand("a", "b", 2, at_most=True), True),
        (Demand("a", "b", 1.9, at_most=True), False),
    ):
        verdict = demand.judge(rows)
        assert verdict is not None
        assert verdict["reached"] is reached
    assert Demand("a", "c", 1).judge(rows) is None
