"""Projection against the library's runner, live and rebuilt, in one run. `python -m tests.benchmarks.projection`.

    python -m tests.benchmarks.projection [--events 100000] [--rounds 3] [--only ROW ...] [--out FOLDER]

Ours is the real projector process on streams that are full (alone, and two that share the partitions), and `twinlog
projections rebuild --all` from the log over the real feed: six read models, the audit copy, every leaf hash checked.
The library's is its ProjectionRunner with one read model, one transaction for each event, as its documentation shows.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import document
from tests.benchmarks.projecting import Projecting
from tests.benchmarks.section import Findings, Plan
from tests.support import results


def main() -> None:
    """Measure, print, and keep the figures where the documents find them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=())
    parser.add_argument("--out", type=Path, default=results.FOLDER)
    given = parser.parse_args()
    section = Projecting(given.events)
    findings = section.measure(Plan(rounds=given.rounds, only=frozenset(given.only)))
    written = results.write(f"bench-{section.name}", report_of(section, findings, given.rounds), given.out)
    if given.out == results.FOLDER:
        document.main()
    sys.stdout.write(f"{written}\n")


def report_of(section: Projecting, findings: Findings, rounds: int) -> dict[str, Any]:
    """What is kept; `seconds` is how long a run of ours took."""
    rows = findings.rows()
    verdicts = [demand.judge(rows) for demand in section.demands]
    report = {
        "section": section.name,
        "title": section.title,
        "seconds": max(row["seconds"] for row in rows.values()),
        "rounds": rounds,
        **findings.about,
        "figures": rows,
        "ratios": [verdict for verdict in verdicts if verdict is not None],
        "runs": {name: list(each) for name, each in findings.runs.items()},
    }
    Console().print_json(data={name: report[name] for name in ("figures", "ratios")})
    return report


if __name__ == "__main__":
    main()
