"""Appends of one event from many writers: our paths against peers, on one durable server in one run."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.benchmarks import server
from tests.benchmarks.contestants import Load
from tests.benchmarks.filling import fill, store_of
from tests.benchmarks.rivals import CONTESTANTS, FROM_NPM, why_no_packages
from tests.benchmarks.section import Demand, Figures, Findings, Plan
from tests.support.results import ROOT

MANY = 2_000_000
FEW = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """A contestant at a number of writers, with payloads of `size` bytes, in a store that holds `events` already."""

    contestant: str
    writers: int
    size: int = 200
    events: int = 0

    @property
    def name(self) -> str:
        size = "" if self.size == 200 else "/2KB"
        events = {0: "", FEW: "/at-10k", MANY: "/at-2M"}[self.events]
        return f"{self.contestant}/{self.writers}{size}{events}"

    @property
    def database(self) -> str:
        """Kept over all rounds; stores that were filled are shared by those who fit in."""
        name = f"filled/{store_of(self.contestant)}/{self.events}" if self.events else self.name
        return f"bench_{name}".replace("-", "_").replace("/", "_").lower()


ALL = tuple(name for name in CONTESTANTS if name not in {"without-leaf", "read-by-id"})
OURS = ("persistence-module", "events-only", "everything")

DEMANDS = (
    Demand("persistence-module/32", "library/32", 8, 15),
    Demand("events-only/32", "library/32", 18, 25),
    Demand("events-only/32", "plain-insert/32", 1, 2),
    Demand("everything/32", "library/32", 8, 12),
    Demand("events-only/1", "plain-insert/1", 1 / 1.5),
    Demand("events-only/1/2KB", "plain-insert/1/2KB", 1 / 1.5),
    Demand("events-only/1/at-2M", "plain-insert/1/at-2M", 1 / 1.5),
    Demand("events-only/32", "without-leaf/32", 0.85, 0.9),
    Demand("events-only/32/at-10k", "events-only/32/at-2M", 1.5, 1.2, at_most=True),
    Demand("read-by-id/32/at-10k", "read-by-id/32/at-2M", 1.5, 1.2, at_most=True),
)

DAILY = [
    *(Row(name, 32) for name in (*ALL, "without-leaf")),
    *(Row(name, 1) for name in ("library", "plain-insert", "persistence-module", "events-only")),
    *(Row("events-only", writers) for writers in (8, 128)),
    Row("everything", 128),
]

FULL = [
    *itertools.starmap(Row, itertools.product(ALL, (1, 8, 32, 128), (200, 2_000))),
    *itertools.starmap(Row, itertools.product(ALL, (1, 8, 32, 128), (200,), (MANY,))),
    *itertools.starmap(Row, itertools.product(ALL, (32,), (2_000,), (MANY,))),
    *(Row(name, 32, 200, events) for name in ("events-only", "read-by-id") for events in (FEW, MANY)),
]


def rows_of(plan: Plan) -> list[Row]:
    """In the order in which they are measured; those that a demand is about come first, the largest stores last."""
    rows = dict.fromkeys([*DAILY, *FULL] if plan.full or plan.only else DAILY)
    return sorted((row for row in rows if plan.wants(row.name)), key=lambda row: row.events)


def rounds_of(row: Row, plan: Plan) -> int:
    """The long table gets one run for each row, and what a ratio is demanded of as many as any other day."""
    demanded = any(row.name in (demand.ours, demand.theirs) for demand in DEMANDS)
    return plan.rounds if demanded or not plan.full else 1


class Appends:
    """The first section of `make bench`."""

    name = "appends"
    title = "Appends of one event, fsync on"
    demands: Sequence[Demand] = DEMANDS

    def measure(self, plan: Plan) -> Findings:
        rows = rows_of(plan)
        not_run = _not_run(rows)
        rows = [row for row in rows if row.name not in not_run]
        found: dict[str, list[Figures]] = {row.name: [] for row in rows}
        with server.postgres() as url:
            for events in sorted({row.events for row in rows}):
                _run(url, [row for row in rows if row.events == events], plan, found)
            return Findings(found, not_run, server.about(url))


def _not_run(rows: Iterable[Row]) -> dict[str, str]:
    theirs = [row for row in rows if row.contestant in FROM_NPM]
    reason = why_no_packages() if theirs else ""
    return {row.name: reason for row in theirs} if reason else {}


def _run(url: str, rows: list[Row], plan: Plan, found: dict[str, list[Figures]]) -> None:
    """All rounds over rows that start with equally many events."""
    filled: Counter[str] = Counter()
    for turn in range(plan.rounds):
        for row in rows:
            if turn < rounds_of(row, plan):
                target = server.database(url, row.database)
                if row.events and not filled[row.database]:
                    fill(store_of(row.contestant), Load(target, 1, 0, row.size, row.events))
                    target = server.database(url, row.database)
                filled[row.database] += 1
                found[row.name].append(_measure(target, row, plan.seconds))


def _measure(target: str, row: Row, seconds: float) -> Figures:
    """One run in a process of its own."""
    limits = {"writers": row.writers, "seconds": seconds, "size": row.size, "events": row.events}
    words = [word for name, value in limits.items() for word in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measure", row.contestant, target, *words],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures
