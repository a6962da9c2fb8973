"""Projection against the library's runner, live and rebuilt, in one run. `python -m tests.benchmarks.projection`.

    python -m tests.benchmarks.projection [--events 100000] [--rounds 3] [--out FOLDER]

Ours is the real projector process on streams that are full (alone, and two that share the partitions), and `twinlog
projections rebuild --all` from the log over the real feed: six read models, the audit copy, every leaf hash checked.
The library's is its ProjectionRunner with one read model, one transaction for each event, as its documentation shows.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from tests.benchmarks.projecting import Projecting
from tests.benchmarks.section import Plan
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
    rows = findings.rows()
    ratios = [verdict for demand in section.demands if (verdict := demand.judge(rows)) is not None]
    runs = {name: list(each) for name, each in findings.runs.items()}
    report = {"rounds": given.rounds, **findings.about, "figures": rows, "ratios": ratios, "runs": runs}
    Console().print_json(data={"figures": rows, "ratios": ratios})
    sys.stdout.write(f"{results.write('projection', report, given.out)}\n")


if __name__ == "__main__":
    main()
