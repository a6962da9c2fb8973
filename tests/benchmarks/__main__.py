"""`make bench`: appends against peers, on one durable server in one run; prints a table and writes a JSON file.

    python -m tests.benchmarks [--seconds 4] [--rounds 3] [--out docs/results/bench.json]

Figures are medians over interleaved rounds. Ratios mean something, rates are this machine's. On a machine that others
use too, `chrt -r 1 make bench` (as root) keeps them out for as long as it takes; the report says so.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from deploy.local import lodging
from deploy.local.engines import EmbeddedPostgres

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "results" / "bench.json"

SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size")
PACKAGES = ("eventsourcing", "psycopg", "uvloop")


@dataclass(frozen=True, slots=True)
class Row:
    """A contestant at a number of writers."""

    contestant: str
    writers: int

    @property
    def name(self) -> str:
        return f"{self.contestant}/{self.writers}"


@dataclass(frozen=True, slots=True)
class Demand:
    """A ratio that has to be reached, and the one that is aimed at."""

    ours: str
    theirs: str
    must: float
    goal: float | None = None


ROWS = [
    *(Row(name, 32) for name in ("library", "plain-insert", "persistence-module", "events-only", "everything")),
    Row("events-only", 128),
    Row("everything", 128),
    *(Row(name, 1) for name in ("library", "plain-insert", "persistence-module", "events-only")),
]

DEMANDS = [
    Demand("persistence-module/32", "library/32", 8, 15),
    Demand("events-only/32", "library/32", 18, 25),
    Demand("events-only/32", "plain-insert/32", 1, 2),
    Demand("everything/32", "library/32", 8, 12),
    Demand("events-only/1", "plain-insert/1", 1 / 1.5),
]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    rows = [row for row in ROWS if options.only is None or row.name in options.only]
    with _server() as url:
        found: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}
        for _ in range(options.rounds):
            for row in rows:
                found[row.name].append(_measure(url, row, options.seconds))
        about = _about(url)
    figures = {name: _median(runs) for name, runs in found.items()}
    ratios = [_judge(demand, figures) for demand in DEMANDS if {demand.ours, demand.theirs} <= figures.keys()]
    report = {
        **about,
        "seconds": options.seconds,
        "rounds": options.rounds,
        "figures": figures,
        "ratios": ratios,
        "runs": found,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n")
    _show(Console(), report)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="ROW", help="such as everything/32")
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args(arguments)


@contextmanager
def _server() -> Iterator[str]:
    """A durable PostgreSQL of its own; yields the superuser's URL."""
    folder = Path(tempfile.mkdtemp(prefix="twinlog-bench-"))
    folder.chmod(0o711)  # the engine may run as an unprivileged user
    engine = EmbeddedPostgres(folder / "engine", durable=True)
    try:
        yield engine.start()
    finally:
        engine.stop()
        lodging.remove(folder / "engine")
        folder.rmdir()


def _measure(url: str, row: Row, seconds: float) -> dict[str, Any]:
    """One run in a process of its own; each contestant keeps a database over all rounds."""
    database = f"bench_{row.name}".replace("-", "_").replace("/", "_")
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 AS there FROM pg_database WHERE datname = %s", (database,)).fetchone():
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
        connection.execute("CHECKPOINT")  # nobody pays for what somebody else wrote
    limits = ["--writers", str(row.writers), "--seconds", str(seconds)]
    target = psycopg.conninfo.make_conninfo(url, dbname=database)
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.measure", row.contestant, target, *limits],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _median(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _judge(demand: Demand, figures: dict[str, dict[str, float]]) -> dict[str, Any]:
    ratio = figures[demand.ours]["per_second"] / figures[demand.theirs]["per_second"]
    return {
        "ours": demand.ours,
        "theirs": demand.theirs,
        "ratio": round(ratio, 2),
        "must": round(demand.must, 2),
        "goal": demand.goal,
        "reached": ratio >= demand.must,
    }


def _setting(connection: psycopg.Connection, name: str) -> Any:
    return connection.execute("SELECT current_setting(%s)", [name]).fetchone()


def _about(url: str) -> dict[str, Any]:
    """What the figures depend on."""
    with psycopg.connect(url) as connection:
        settings = {name: _setting(connection, name) for name in SETTINGS}
        server = connection.info.server_version
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return {
        "commit": commit.strip(),
        "machine": {"cpus": os.cpu_count(), "architecture": platform.machine(), "system": platform.system()},
        "load_at_end": round(os.getloadavg()[0], 2),
        "real_time_scheduling": os.sched_getscheduler(0) != os.SCHED_OTHER if hasattr(os, "SCHED_OTHER") else False,
        "versions": {"python": platform.python_version(), "postgresql": server}
        | {name: version(name) for name in PACKAGES},
        "settings": {name: value[0] for name, value in settings.items() if value},
    }


def _show(console: Console, report: dict[str, Any]) -> None:
    table = Table("writers", "appends/s", "p50 ms", "p99 ms", "p99.9 ms", title="Appends of one event, fsync on")
    for name, figures in report["figures"].items():
        table.add_row(
            name,
            f"{figures['per_second']:,.0f}",
            *(f"{figures[key]:.2f}" for key in ("p50_ms", "p99_ms", "p999_ms")),
        )
    console.print(table)
    for ratio in report["ratios"]:
        verdict = "reached" if ratio["reached"] else "FALLS SHORT"
        goal = f", goal {ratio['goal']}" if ratio["goal"] else ""
        console.print(f"{ratio['ours']} = {ratio['ratio']} x {ratio['theirs']} (must {ratio['must']}{goal}): {verdict}")
    if report["load_at_end"] > (report["machine"]["cpus"] or 1) + 2:
        console.print(f"Others were using this machine (load {report['load_at_end']}): trust ratios, not rates.")


if __name__ == "__main__":
    main()
