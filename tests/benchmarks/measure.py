"""One contestant, one run, in a process of its own: prints one line of JSON."""

import argparse
import gc
import json
import sys

from tests.benchmarks.contestants import Load
from tests.benchmarks.rivals import CONTESTANTS

SHARES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("url")
    parser.add_argument("--writers", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--events", type=int, default=0, help="how many the store holds already")
    options = parser.parse_args()
    gc.collect()
    gc.freeze()  # what was imported is not garbage, and looking at it would be part of somebody's latency
    load = Load(options.url, options.writers, options.seconds, options.size, options.events)
    measured = CONTESTANTS[options.contestant](load)
    latencies = sorted(measured.latencies)
    figures = {name: round(1e3 * quantile(latencies, share), 3) for name, share in SHARES.items()}
    done = len(latencies) * measured.each
    sys.stdout.write(json.dumps({"count": done, "per_second": round(done / measured.seconds), **figures}) + "\n")


if __name__ == "__main__":
    main()
