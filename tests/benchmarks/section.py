"""What `make bench` consists of: sections, each with rows of figures and the ratios that are demanded of them."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Figures = Mapping[str, float]
"""Of one row; `per_second`, `p50_ms`, `p99_ms` and `p999_ms` where they make sense."""


COLUMNS = {
    "per_second": ("per second", ",.0f"),
    "p50_ms": ("p50 ms", ".2f"),
    "p99_ms": ("p99 ms", ".2f"),
    "p999_ms": ("p99.9 ms", ".2f"),
    "cpu_us": ("server \u00b5s each", ",.0f"),
}
"""Of a table: which figure, under which heading, in which form."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: `seconds` is the length of one run, `full` takes what is too long for every day."""

    seconds: float = 2.0
    rounds: int = 3
    full: bool = False
    only: frozenset[str] = frozenset()

    def wants(self, row: str) -> bool:
        return not self.only or row in self.only


@dataclass(frozen=True, slots=True)
class Demand:
    """A ratio of two rows that has to be reached (or, `at_most`, not to be exceeded), and the one that is aimed at."""

    ours: str
    theirs: str
    must: float
    goal: float | None = None
    figure: str = "per_second"
    at_most: bool = False

    def judge(self, rows: Mapping[str, Figures]) -> dict[str, Any] | None:
        """None when one of the rows was not measured."""
        if not {self.ours, self.theirs} <= rows.keys():
            return None
        ratio = rows[self.ours][self.figure] / rows[self.theirs][self.figure]
        return {
            "ours": self.ours,
            "theirs": self.theirs,
            "figure": self.figure,
            "ratio": round(ratio, 2),
            "must": round(self.must, 2),
            "goal": self.goal,
            "at_most": self.at_most,
            "reached": self._meets(ratio, self.must),
            "goal_reached": self.goal is None or self._meets(ratio, self.goal),
        }

    def _meets(self, ratio: float, bound: float) -> bool:
        return ratio <= bound if self.at_most else ratio >= bound


@dataclass(frozen=True, slots=True)
class Findings:
    """All runs of each row, the reason of each row that was not run, and what the figures depend on."""

    runs: Mapping[str, Sequence[Figures]]
    not_run: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    def rows(self) -> dict[str, dict[str, float]]:
        """The median of each figure over the runs of its row."""
        return {
            name: {figure: statistics.median(run[figure] for run in runs) for figure in runs[0]}
            for name, runs in self.runs.items()
            if runs
        }


class Section(Protocol):
    """Its figures go to docs/results/bench-<name>.json."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def demands(self) -> Sequence[Demand]: ...

    def measure(self, plan: Plan) -> Findings:
        """Run the rows that the plan wants, interleaved over its rounds."""
        ...


def sentence(verdict: Mapping[str, Any]) -> str:
    """What a demand's verdict says; what falls short is said as such."""
    bound = "at most" if verdict["at_most"] else "at least"
    goal = f", goal {verdict['goal']:.3g}" if verdict["goal"] else ""
    of = "" if verdict["figure"] == "per_second" else f" in {verdict['figure']}"
    result = "reached" if verdict["reached"] else "FALLS SHORT"
    ratio = f"{verdict['ours']} = {verdict['ratio']} x {verdict['theirs']}{of}"
    return f"{ratio} ({bound} {verdict['must']}{goal}): {result}"
