"""`python -m tests.benchmarks.snapshots`: loading a long stream with snapshots and without, in one run.

    python -m tests.benchmarks.snapshots [--events 5000] [--rounds 15] [--keep]

The stream is a resource that was changed again and again. The last change comes `BEHIND` events after the snapshot. The
short stream, of one event, shows what asking for a snapshot costs where there is none.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import orjson
import psycopg

from command_service.bootstrap import Services, bootstrap
from command_service.features.resources.handlers import RESOURCES
from command_service.infrastructure.aggregate import Aggregate
from deploy.local.databases import COMMAND, VAULT
from tests.support import results
from tests.support.cluster import Database, Vault, running_cluster
from tests.support.command_side import settings_of
from tests.support.large_log import fill

BEHIND = 50
UNAIDED: Aggregate[Any] = replace(RESOURCES, snapshots=None)


@contextmanager
def databases() -> Iterator[tuple[Database, Vault]]:
    with running_cluster() as cluster, cluster.copy_of(COMMAND) as log, cluster.copy_of(VAULT) as keys:
        writer, reader = (cluster.url(keys, user) for user in VAULT.users)
        yield (
            Database(log, cluster.url(log, COMMAND.owner), cluster.url(log, COMMAND.users[0])),
            Vault(keys, cluster.url(keys, VAULT.owner), writer, reader),
        )


def streams(database: Database, events: int) -> dict[str, str]:
    """A long stream and a short one."""
    found = {}
    for name, count in (("long", events - BEHIND), ("short", 1)):
        fill(database.owner_url, count, streams=1, name=name)
        with psycopg.connect(database.owner_url) as connection:
            row = connection.execute("SELECT stream FROM events ORDER BY position DESC LIMIT 1").fetchone()
        assert row is not None
        found[name] = row[0]
    return found


async def milliseconds(services: Services, aggregate: Aggregate[Any], stream: str, rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        await services.resources._execution.load(aggregate, "default", stream)
        found.append(round(1e3 * (time.perf_counter() - begun), 3))
    return found


async def measured(database: Database, vault: Vault, events: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    services = bootstrap(settings_of(database, vault))
    async with services.running():
        named = streams(database, events)
        first = await milliseconds(services, RESOURCES, named["long"], 1)  # keeps the snapshot
        fill(database.owner_url, BEHIND, streams=1, name="long", begun=events - BEHIND)
        loads: dict[str, dict[str, list[float]]] = {"first": {"kept": first}}
        for name, stream in named.items():
            loads[name] = {"with": [], "without": []}
            for _ in range(rounds):
                loads[name]["with"] += await milliseconds(services, RESOURCES, stream, 1)
                loads[name]["without"] += await milliseconds(services, UNAIDED, stream, 1)
        same = [
            await services.resources._execution.load(each, "default", named["long"]) for each in (RESOURCES, UNAIDED)
        ]
        assert same[0] == same[1], "a snapshot decides nothing"
    return loads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keep", action="store_true", help="write docs/results/snapshots.json")
    options = parser.parse_args()
    with databases() as (database, vault):
        loads = asyncio.run(measured(database, vault, options.events, options.rounds))
    middle = {name: {way: statistics.median(times) for way, times in ways.items()} for name, ways in loads.items()}
    figures = {
        "events": options.events,
        "behind": BEHIND,
        "every": RESOURCES.snapshots.every if RESOURCES.snapshots else 0,
        "rounds": options.rounds,
        "milliseconds": middle,
        "ratios": {name: round(middle[name]["without"] / middle[name]["with"], 2) for name in ("long", "short")},
        "runs": loads,
    }
    sys.stdout.write(orjson.dumps(figures, option=orjson.OPT_INDENT_2).decode() + "\n")
    if options.keep:
        results.write("snapshots", figures)


if __name__ == "__main__":
    main()
