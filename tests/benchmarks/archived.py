"""`python -m tests.benchmarks.archived`: what it costs every append that archived streams refuse it.

    python -m tests.benchmarks.archived [--seconds 3] [--rounds 5] [--keep]

The append function with the check and the one without it take turns in one database, under 32 tasks that each append to
streams of their own, so that the newest event of a stream is looked at by every append.
"""

import argparse
import asyncio
import runpy
import statistics
import sys
import time
from uuid import uuid4

import orjson
import psycopg

from command_service.infrastructure import schema
from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import Append, NewEvent
from deploy.local.databases import COMMAND
from tests.support import results
from tests.support.cluster import running_cluster
from tests.support.history import METADATA

TASKS = 32
TOPIC = "tests.Happened.v1"
PAYLOAD = orjson.dumps({"text": "x" * 180})


def functions() -> dict[str, str]:
    """The two texts of the append function."""
    folder = schema.FOLDER / "versions"
    without: str = runpy.run_path(str(folder / "0008_append_faster.py"))["APPEND"]
    checked: str = runpy.run_path(str(folder / "0010_snapshots_and_archives.py"))["append_function"]()
    return {"without": without, "with": checked}


async def appends(url: str, seconds: float) -> float:
    """Appends per second."""
    count, end = 0, time.perf_counter() + seconds

    async def write(store: PostgresEventStore) -> None:
        nonlocal count
        streams = {f"things-{uuid4()}": 0 for _ in range(8)}
        while time.perf_counter() < end:
            for stream, version in streams.items():
                event = NewEvent(uuid4(), TOPIC, PAYLOAD, METADATA)
                streams[stream] = (await store.append(Append("default", stream, version, (event,)))).version
                count += 1

    async with PostgresEventStore(url, topics=[TOPIC]) as store:
        begun = time.perf_counter()
        await asyncio.gather(*(write(store) for _ in range(TASKS)))
        return count / (time.perf_counter() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="write docs/results/archived.json")
    options = parser.parse_args()
    found: dict[str, list[float]] = {"without": [], "with": []}
    with running_cluster() as cluster, cluster.copy_of(COMMAND) as name:
        owner, app = cluster.url(name, COMMAND.owner), cluster.url(name, COMMAND.users[0])
        for number in range(options.rounds + 1):
            for variant, text in functions().items():
                with psycopg.connect(owner) as connection:
                    connection.execute(text.encode())
                rate = asyncio.run(appends(app, options.seconds))
                if number:  # the first round is for warming up
                    found[variant].append(round(rate))
    middle = {variant: round(statistics.median(rates)) for variant, rates in found.items()}
    ratio = round(statistics.median(a / b for a, b in zip(found["with"], found["without"], strict=True)), 3)
    figures = {"tasks": TASKS, "seconds": options.seconds, "rounds": options.rounds, "appends_per_second": middle}
    figures |= {"with/without": ratio, "runs": found}
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
    if options.keep:
        results.write("archived", figures)


if __name__ == "__main__":
    main()
