"""`python -m tests.benchmarks.feed`: the feed over HTTP against COPY of the same rows, in one run, one reader each.

    python -m tests.benchmarks.feed [--events 200000] [--rounds 3] [--keep]

COPY is what PostgreSQL itself can do: `COPY events TO STDOUT` (text), read over the same driver and thrown away. The
feed is read page by page as the query service reads it, over a connection that stays, and thrown away too.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx2
import orjson
import psycopg
from psycopg import sql

from deploy.local.databases import COMMAND, VAULT
from shared_kernel.messaging.feed import FEED_PATH, PAGE_LIMIT
from tests.benchmarks import document
from tests.benchmarks.section import Demand, sentence
from tests.support import results
from tests.support.cluster import Database, Vault, running_cluster
from tests.support.command_process import command_process, variables_of
from tests.support.command_side import settings_of
from tests.support.large_log import fill

DEMANDS = (Demand("feed", "copy_text", 1),)
"""As fast as the database can say the same rows as text."""

PARTITION = 3
LINE = 4_096
"""Bytes, at most, of a line of this log."""

COLUMNS = """position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
    recorded_at, slot, leaf_version, leaf_hash"""


def copied(database: Database, form: str) -> int:
    """Bytes of the whole log by COPY."""
    statement = sql.SQL("COPY events ({}) TO STDOUT (FORMAT {})").format(sql.SQL(COLUMNS), sql.SQL(form))
    with psycopg.connect(database.app_url) as connection, connection.cursor().copy(statement) as copy:
        return sum(len(block) for block in copy)


def fed(http: httpx2.Client, **query: int) -> int:
    """Events of the feed, page after page."""
    count = after = 0
    while True:
        lines, last = 0, b""
        with http.stream("GET", FEED_PATH, params={"after": after, "limit": PAGE_LIMIT, **query}) as response:
            response.raise_for_status()
            for chunk in response.iter_raw():
                lines += chunk.count(b"\n")
                last = (last + chunk)[-LINE:]
        count += lines
        if lines < PAGE_LIMIT:
            return count
        after = orjson.loads(last.splitlines()[-1])["position"]


def seconds(run: Callable[[], int]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


@contextmanager
def served(events: int) -> Iterator[tuple[Database, httpx2.Client]]:
    """A log of so many events, and the command service over it."""
    with running_cluster() as cluster, cluster.copy_of(COMMAND) as log, cluster.copy_of(VAULT) as keys:
        database = Database(log, cluster.url(log, COMMAND.owner), cluster.url(log, COMMAND.users[0]))
        writer, reader = (cluster.url(keys, user) for user in VAULT.users)
        vault = Vault(keys, cluster.url(keys, VAULT.owner), writer, reader)
        with command_process(variables_of(database, vault)) as running:
            fill(database.owner_url, events)
            with httpx2.Client(base_url=running.url, timeout=60, headers=credential(database, vault)) as http:
                yield database, http


def credential(database: Database, vault: Vault) -> dict[str, str]:
    from command_service.bootstrap import bootstrap  # noqa: PLC0415 - costs a second, which is not to be measured

    return {"Authorization": bootstrap(settings_of(database, vault)).feed_credential.decode()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="write docs/results/feed.json")
    options = parser.parse_args()
    with served(options.events) as (database, http):
        size = copied(database, "text")
        runs = {
            "copy_text": lambda: copied(database, "text"),
            "copy_binary": lambda: copied(database, "binary"),
            "feed": lambda: fed(http),
            "feed_of_one_partition": lambda: fed(http, partition=PARTITION),
        }
        found: dict[str, list[float]] = {name: [] for name in runs}
        for name, run in list(runs.items()) * options.rounds:  # in turn: who shares the machine changes
            found[name].append(seconds(run))
        of_partition = fed(http, partition=PARTITION)
    counts = dict.fromkeys(found, options.events) | {"feed_of_one_partition": of_partition}
    report = {
        "section": "feed",
        "title": "The feed against COPY",
        "events": options.events,
        "bytes_per_event_as_text": round(size / options.events),
        "page": PAGE_LIMIT,
        **figures_of(found, counts),
    }
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.writelines(f"{sentence(verdict)}\n" for verdict in report["ratios"])
    if options.keep:
        results.write("bench-feed", report)
        document.main()


def figures_of(found: Mapping[str, Sequence[float]], counts: Mapping[str, int]) -> dict[str, Any]:
    """What was found, in seconds of each round, as every section of the benchmarks says it."""
    rows = {name: {"per_second": round(counts[name] / statistics.median(times))} for name, times in found.items()}
    verdicts = [demand.judge(rows) for demand in DEMANDS]
    return {
        "seconds": round(statistics.median(found["feed"]), 2),
        "rounds": len(found["feed"]),
        "figures": rows,
        "ratios": [verdict for verdict in verdicts if verdict is not None],
        "runs": {name: [{"seconds": round(each, 3)} for each in times] for name, times in found.items()},
    }


if __name__ == "__main__":
    main()
