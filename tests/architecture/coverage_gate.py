"""Refuses a test run that leaves too much of one part untried: `python -m tests.architecture.coverage_gate`.

Reads the combined coverage data of the run before. Each part has a floor of its own, so that a well tried part
cannot hide a neglected one. Lines and branches count alike.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coverage import Coverage
from coverage.exceptions import CoverageException

FLOORS: Mapping[str, float] = {
    "command_service/features": 95,
    "command_service/infrastructure/event_store": 95,
    "command_service/relay": 95,
    "deploy": 90,
    "query_service/features": 95,
    "query_service/projector": 95,
    "shared_kernel": 95,
}
"""Percent of lines and branches that tests must run, by part of the product."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the product: how much of it was tried, in percent (None: nothing was measured), and its floor."""

    name: str
    percent: float | None
    floor: float

    @property
    def passes(self) -> bool:
        return self.percent is not None and self.percent >= self.floor

    def __str__(self) -> str:
        measured = "not measured" if self.percent is None else f"{self.percent:6.2f} %"
        return f"{'ok  ' if self.passes else 'FAIL'} {self.name:44} {measured:>12}  at least {self.floor:.0f} %"


def judge(report: Mapping[str, Any], floors: Mapping[str, float] = FLOORS) -> list[Part]:
    """The parts of coverage's JSON report, in the order of the floors."""
    return [Part(name, _percent(report["files"], name), floor) for name, floor in floors.items()]


def _percent(files: Mapping[str, Any], part: str) -> float | None:
    summaries = [entry["summary"] for path, entry in files.items() if Path(path).is_relative_to(part)]
    total = sum(summary["num_statements"] + summary["num_branches"] for summary in summaries)
    tried = sum(summary["covered_lines"] + summary["covered_branches"] for summary in summaries)
    return 100 * tried / total if total else None


def read() -> dict[str, Any]:
    """Coverage's JSON report of the last run. Raises CoverageException when there is none."""
    coverage = Coverage()
    coverage.load()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        coverage.json_report(outfile=str(file))
        report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return report


def main() -> int:
    try:
        parts = judge(read())
    except CoverageException as error:
        sys.stderr.write(f"There is no coverage to judge: {error}\n")
        return 3
    sys.stdout.writelines(f"{part}\n" for part in parts)
    return 0 if all(part.passes for part in parts) else 1


if __name__ == "__main__":
    sys.exit(main())
