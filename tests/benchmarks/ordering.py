"""What each way of ordering a log costs its writers and its readers, on one durable server in one run.

    python -m tests.benchmarks.ordering [--seconds 4] [--rounds 3]

Rates with 1 and 32 writers as fast as they can; then, at a steady pace, how long after its acknowledgement an event
is seen by a reader, with and without a transaction that stays open in another database of the same server.
"""

import argparse
import asyncio
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from rich.console import Console
from rich.table import Table

from tests.benchmarks import server
from tests.benchmarks.contestants import in_tasks
from tests.benchmarks.orders import ORDERS, Order
from tests.support import results

WRITERS = (1, 32)
PER_SECOND = 200
LOOK_EVERY = 0.001


@dataclass
class Reader:
    """Tails a log in a thread of its own, from where it ends now, and notes when it met each event."""

    order: Order
    seen: dict[UUID, float] = field(default_factory=dict)
    bookmark: tuple[Any, ...] = ()
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, connection: psycopg.Connection) -> None:
        while True:
            last_look = self._over.is_set()
            ids = self._look(connection)
            self.seen.update(dict.fromkeys(ids, time.perf_counter()))
            if last_look and not ids:
                return
            time.sleep(LOOK_EVERY)  # until the block below ends

    @contextmanager
    def reading(self) -> Iterator[None]:
        with psycopg.connect(self.order.url, autocommit=True) as connection:
            while self._look(connection):
                pass
            thread = threading.Thread(target=self.run, args=(connection,))
            thread.start()
            try:
                yield
            finally:
                self._over.set()
                thread.join()

    def _look(self, connection: psycopg.Connection) -> list[UUID]:
        ids, self.bookmark = self.order.read(connection, self.bookmark)
        return ids


async def rate(order: Order, seconds: float) -> float:
    """Appends per second, as fast as the writers can."""
    async with order:
        measured = await in_tasks([partial(order.append, writer) for writer in range(order.writers)], seconds)
    return len(measured.latencies) / measured.seconds


async def at_a_pace(order: Order, seconds: float) -> dict[UUID, float]:
    """Append at a steady pace; answers when each event was acknowledged."""
    acknowledged: dict[UUID, float] = {}
    end = time.perf_counter() + seconds

    async def write(writer: int) -> None:
        await asyncio.sleep(writer / PER_SECOND)
        while True:  # once at least, however short the time
            event_id = await order.append(writer)
            acknowledged[event_id] = time.perf_counter()
            if time.perf_counter() >= end:
                return
            await asyncio.sleep(order.writers / PER_SECOND)

    async with order:
        await asyncio.gather(*map(write, range(order.writers)))
    return acknowledged


def visible(order: Order, seconds: float, elsewhere: str | None = None) -> dict[str, float]:
    """Milliseconds from an event's acknowledgement until a reader meets it; `elsewhere` a transaction stays open."""
    reader = Reader(order)
    holding = open_transaction(elsewhere, open_for(seconds)) if elsewhere else nullcontext()
    with reader.reading(), holding:
        acknowledged = uvloop.run(at_a_pace(order, seconds))
    delays = sorted(1e3 * max(0.0, reader.seen[each] - at) for each, at in acknowledged.items() if each in reader.seen)
    cuts = statistics.quantiles(delays, n=100, method="inclusive")
    return {
        "appends": len(acknowledged),
        "lost": len(acknowledged.keys() - reader.seen.keys()),
        "p50_ms": round(cuts[49], 2),
        "p99_ms": round(cuts[98], 2),
        "max_ms": round(delays[-1], 2),
    }


def open_for(seconds: float) -> float:
    """How much of a run of so many seconds the transaction stays open."""
    return 0.75 * seconds


@contextmanager
def open_transaction(url: str, seconds: float) -> Iterator[None]:
    """A transaction that has written something stays open for so long, in another thread."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_current_xact_id() AS mine")
        timer = threading.Timer(seconds, connection.commit)
        timer.start()
        yield
        timer.join()


def measure(url: str, seconds: float, rounds: int) -> dict[str, dict[str, Any]]:
    """All figures of all orders; rates are medians over interleaved rounds."""
    names = {name: "order_" + name.replace(" ", "_") for name in ORDERS}
    places = {name: server.database(url, database) for name, database in names.items()}
    for name, kind in ORDERS.items():
        kind.install(places[name])
    rates: dict[str, dict[int, list[float]]] = {name: {writers: [] for writers in WRITERS} for name in ORDERS}
    for _ in range(rounds):
        for writers in WRITERS:
            for name, kind in ORDERS.items():
                server.database(url, names[name])  # for its checkpoint: nobody pays for what another wrote
                rates[name][writers].append(uvloop.run(rate(kind(places[name], writers), seconds)))
    for place in places.values():
        tidy(place)
    return {
        name: {
            "appends_per_second": {str(n): round(statistics.median(found)) for n, found in rates[name].items()},
            "visible": visible(kind(places[name], 8), seconds),
            "visible_beside_a_long_transaction": visible(kind(places[name], 8), seconds, url),
        }
        for name, kind in ORDERS.items()
    }


def tidy(url: str) -> None:
    """What autovacuum would do sooner or later: no reader is slow for want of statistics."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def ratios(figures: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Group commit against each other way, by writers."""
    ours = figures["group commit"]["appends_per_second"]
    return {
        name: {writers: round(ours[writers] / rate, 2) for writers, rate in found["appends_per_second"].items()}
        for name, found in figures.items()
        if name != "group commit"
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ordering", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=results.FOLDER)
    given = parser.parse_args(arguments)
    with server.postgres() as url:
        figures = measure(url, given.seconds, given.rounds)
        about = server.about(url)
    kept = {
        **about,
        "seconds": given.seconds,
        "rounds": given.rounds,
        "long_transaction_seconds": open_for(given.seconds),
        "figures": figures,
        "group_commit_against": ratios(figures),
    }
    results.write("ordering", kept, given.out)
    show(figures)


def show(figures: dict[str, dict[str, Any]]) -> None:
    columns = ("order", "1 writer/s", "32 writers/s", "visible p50 ms", "p99 ms", "p99 ms beside a long transaction")
    table = Table(*columns, title="One order for all readers, fsync on")
    for name, found in figures.items():
        seen, beside = found["visible"], found["visible_beside_a_long_transaction"]
        rates = [f"{rate:,}" for rate in found["appends_per_second"].values()]
        table.add_row(name, *rates, str(seen["p50_ms"]), str(seen["p99_ms"]), str(beside["p99_ms"]))
    Console(file=sys.stdout).print(table)


if __name__ == "__main__":
    main()
