"""Appends of one event from many writers: our paths against peers, on one durable server in one run."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks import server
from tests.benchmarks.section import Demand, Figures, Findings, Plan
from tests.support.results import ROOT


@dataclass(frozen=True, slots=True)
class Row:
    """A contestant at a number of writers."""

    contestant: str
    writers: int

    @property
    def name(self) -> str:
        return f"{self.contestant}/{self.writers}"


ROWS = [
    *(Row(name, 32) for name in ("library", "plain-insert", "persistence-module", "events-only", "everything")),
    Row("events-only", 128),
    Row("everything", 128),
    *(Row(name, 1) for name in ("library", "plain-insert", "persistence-module", "events-only")),
]

DEMANDS = (
    Demand("persistence-module/32", "library/32", 8, 15),
    Demand("events-only/32", "library/32", 18, 25),
    Demand("events-only/32", "plain-insert/32", 1, 2),
    Demand("everything/32", "library/32", 8, 12),
    Demand("events-only/1", "plain-insert/1", 1 / 1.5),
)


class Appends:
    """The first section of `make bench`."""

    name = "appends"
    title = "Appends of one event, fsync on"
    demands: Sequence[Demand] = DEMANDS

    def measure(self, plan: Plan) -> Findings:
        rows = [row for row in ROWS if plan.wants(row.name)]
        found: dict[str, list[Figures]] = {row.name: [] for row in rows}
        with server.postgres() as url:
            for _ in range(plan.rounds):
                for row in rows:
                    found[row.name].append(_measure(url, row, plan.seconds))
            return Findings(found, about=server.about(url))


def _measure(url: str, row: Row, seconds: float) -> Figures:
    """One run in a process of its own; each contestant keeps a database over all rounds."""
    target = server.database(url, f"bench_{row.name}".replace("-", "_").replace("/", "_"))
    limits = ["--writers", str(row.writers), "--seconds", str(seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measure", row.contestant, target, *limits],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
