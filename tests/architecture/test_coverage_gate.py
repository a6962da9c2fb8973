"""The coverage gate judges each part by its own floor, and counts what processes started by tests did."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.coverage_gate import FLOORS, judge
from tests.architecture.rules.catalogue import PROJECT


def summary(*, lines: int, of: int, branches: int = 0, of_branches: int = 0) -> dict[str, dict[str, int]]:
    counts = {"covered_lines": lines, "num_statements": of, "covered_branches": branches, "num_branches": of_branches}
    return {"summary": counts}


def test_neglected_part_fails_beside_a_well_tried_one() -> None:
    report = {"files": {"shared_kernel/ids.py": summary(lines=99, of=100), "deploy/cli.py": summary(lines=1, of=10)}}
    kernel, deploy = judge(report, {"shared_kernel": 95, "deploy": 90})
    assert (kernel.passes, deploy.passes) == (True, False)
    assert str(deploy).startswith("FAIL deploy")


def test_untried_branch_counts_like_an_untried_line() -> None:
    file = summary(lines=90, of=90, branches=4, of_branches=10)
    (part,) = judge({"files": {"deploy/cli.py": file}}, {"deploy": 95})
    assert part.percent == pytest.approx(94)
    assert not part.passes


def test_part_of_which_nothing_was_measured_fails() -> None:
    (part,) = judge({"files": {"deploy_more/cli.py": summary(lines=1, of=1)}}, {"deploy": 90})
    assert part.percent is None
    assert not part.passes


@pytest.mark.parametrize("part", FLOORS)
def test_every_floor_belongs_to_a_part_that_exists(part: str) -> None:
    assert (PROJECT / part).is_dir()


def test_process_started_by_a_test_is_measured_too(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text("def tell():\n    return 'told'\n", encoding="utf-8")
    (tmp_path / "teller.py").write_text("import told\nprint(told.tell())\n", encoding="utf-8")
    (tmp_path / "start.py").write_text(
        "import subprocess, sys\nsubprocess.run([sys.executable, 'teller.py'], check=True)\n", encoding="utf-8"
    )
    settings = (PROJECT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.coverage.run]")[2]
    lines = [line for line in settings.partition("\n[")[0].splitlines() if not line.startswith("source")]
    (tmp_path / "pyproject.toml").write_text("\n".join(["[tool.coverage.run]", *lines, 'source = ["."]']), "utf-8")
    coverage = [sys.executable, "-m", "coverage"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    for step in ([*coverage, "run", "start.py"], [*coverage, "combine", "-q"]):
        subprocess.run(step, cwd=tmp_path, env=clean, check=True, capture_output=True, timeout=60)
    told = subprocess.run(
        [*coverage, "report", "--include=told.py", "--format=total"],
        cwd=tmp_path,
        env=clean,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout.strip() == "100"


def test_gate_without_any_data_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.architecture.coverage_gate"],
        cwd=PROJECT,
        env={**os.environ, "COVERAGE_FILE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("There is no coverage to judge: ")
    assert "Traceback" not in done.stderr
