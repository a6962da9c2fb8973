"""`make bench`: all sections in one run; prints tables and ratios, writes bench-<section>.json and draws .svg.

    python -m tests.benchmarks [--section appends] [--seconds 2] [--rounds 3] [--full] [--only ROW ...] [--out FOLDER]

`--full` (a quarter of an hour) takes every number of writers, two sizes and a store with two million events; it writes
to docs/results and brings the tables of docs/performance.md up to date. Without it build/bench gets the results.

Figures are medians over interleaved rounds. Ratios mean something, rates are this machine's. On a machine that others
use too, `chrt -r 1 make bench` (as root) keeps them out for as long as it takes; the report says so.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import document, plot
from tests.benchmarks.appends import Appends
from tests.benchmarks.http import Http
from tests.benchmarks.section import COLUMNS, Findings, Plan, Section, sentence
from tests.support import results

SECTIONS: tuple[Section, ...] = (Appends(), Http())

BUILD = results.ROOT / "build" / "bench"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    options.out = options.out or (results.FOLDER if options.full else BUILD)
    plan = Plan(options.seconds, options.rounds, options.full, frozenset(options.only))
    console = Console()
    for section in SECTIONS:
        if section.name in options.section:
            report = _report(section, plan, section.measure(plan))
            written = results.write(f"bench-{section.name}", report, options.out)
            plot.draw(report, written.with_suffix(".svg"))
            _show(console, report)
    if options.out == results.FOLDER:
        document.main()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--section", nargs="+", choices=names, default=names)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="everything, also what takes long")
    parser.add_argument("--only", nargs="+", metavar="ROW", default=(), help="such as everything/32")
    parser.add_argument("--out", type=Path, help="folder for the results: docs/results if --full, else build/bench")
    return parser.parse_args(arguments)


def _report(section: Section, plan: Plan, findings: Findings) -> dict[str, Any]:
    rows = findings.rows()
    ratios = [verdict for demand in section.demands if (verdict := demand.judge(rows)) is not None]
    return {
        "section": section.name,
        "title": section.title,
        "seconds": plan.seconds,
        "rounds": plan.rounds,
        "full": plan.full,
        **findings.about,
        "figures": rows,
        "ratios": ratios,
        "not_run": dict(findings.not_run),
        "runs": {name: list(runs) for name, runs in findings.runs.items()},
    }


def _show(console: Console, report: Mapping[str, Any]) -> None:
    rows = report["figures"]
    columns = {key: column for key, column in COLUMNS.items() if any(key in row for row in rows.values())}
    table = Table("", *(heading for heading, _ in columns.values()), title=report["title"])
    for name, figures in rows.items():
        cells = (format(figures[key], form) if key in figures else "" for key, (_, form) in columns.items())
        table.add_row(name, *cells)
    console.print(table)
    for row, reason in report["not_run"].items():
        console.print(f"{row}: not run, {reason}")
    for ratio in report["ratios"]:
        console.print(sentence(ratio))


if __name__ == "__main__":
    main()
