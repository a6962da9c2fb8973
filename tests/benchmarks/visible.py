"""Commit to visible: how long after a command was answered its event can be read. `python -m tests.benchmarks.visible`.

A stack of its own is started; commands arrive at a steady rate, and every two milliseconds the checkpoints of all read
models tell which positions are visible in each of them.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psycopg

from shared_kernel.background import end
from shared_kernel.messaging.partition import partition_of, slot_of
from tests.support.load import Author, sign_up
from tests.support.stack import Stack, running_stack

RESULT = Path(__file__).parents[2] / "docs" / "results" / "commit-to-visible.json"
PARTITIONS = 8
WARM_UP = 2.0
"""Seconds at the beginning that do not count."""

STANDING = "SELECT partition, min(position) FROM public.checkpoints GROUP BY partition"


@dataclass(slots=True)
class Watch:
    """When each position was acknowledged (with its partition), and when it was seen to be visible."""

    acknowledged: dict[int, tuple[int, float]] = field(default_factory=dict)
    visible: dict[int, float] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    level: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self, position: int, partition: int) -> None:
        self.acknowledged[position] = (partition, time.perf_counter())
        self.waiting.add(position)
        self.level.clear()

    def see(self, reached: dict[int, int]) -> None:
        now = time.perf_counter()
        seen = {p for p in self.waiting if reached.get(self.acknowledged[p][0], 0) >= p}
        self.visible.update(dict.fromkeys(seen, now))
        self.waiting -= seen
        if not self.waiting:
            self.level.set()

    def delays(self, since: float) -> list[float]:
        """Milliseconds; what was visible before its answer had arrived counts as 0."""
        return sorted(
            max(0.0, self.visible[position] - at) * 1000
            for position, (_, at) in self.acknowledged.items()
            if at >= since and position in self.visible
        )


@asynccontextmanager
async def watching(url: str, watch: Watch) -> AsyncIterator[None]:
    """Look at the checkpoints every 2 ms."""

    async def look() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while True:
                reached: dict[int, int] = dict(await (await connection.execute(STANDING)).fetchall())
                watch.see(reached)
                await asyncio.sleep(0.002)

    task = asyncio.create_task(look())
    try:
        yield
        async with asyncio.timeout(30):
            await watch.level.wait()
    finally:
        await end(task)


async def load(stack: Stack, author: Author, watch: Watch, rate: float, seconds: float) -> None:
    """Commands at a steady rate, each sent when its time has come, however slow the others are."""
    limits = httpx2.Limits(max_connections=32)
    async with httpx2.AsyncClient(timeout=20, headers=author.headers, limits=limits) as http:
        begun, tasks = time.perf_counter(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            tasks.append(asyncio.create_task(command(stack, http, watch, number)))
        await asyncio.gather(*tasks)


async def command(stack: Stack, http: httpx2.AsyncClient, watch: Watch, number: int) -> None:
    answer = await http.post(f"{stack.command_url}/v1/resources", json={"name": f"measured {number}"})
    answer.raise_for_status()
    body = answer.json()
    watch.acknowledge(body["position"], partition_of(slot_of("default", f"resources-{body['id']}"), PARTITIONS))


def figures(delays: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    cuts = statistics.quantiles(delays, n=100, method="inclusive")
    return {
        "p50": round(cuts[49], 2),
        "p90": round(cuts[89], 2),
        "p99": round(cuts[98], 2),
        "max": round(delays[-1], 2),
    }


async def measure(stack: Stack, rate: float, seconds: float) -> dict[str, Any]:
    """One run at one rate."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    watch = Watch()
    async with httpx2.AsyncClient(timeout=20) as http:
        author = await sign_up(stack, http)
    begun = time.perf_counter()
    async with watching(kept["query"]["QUERY_DATABASE_URL"], watch):
        await load(stack, author, watch, rate, WARM_UP + seconds)
    elapsed = time.perf_counter() - begun
    delays = watch.delays(begun + WARM_UP)
    achieved = round(len(watch.acknowledged) / elapsed, 1)
    return {"asked_per_second": rate, "answered_per_second": achieved, "samples": len(delays), "ms": figures(delays)}


def main() -> None:
    """Measure, print, and keep the figures where the documents find them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 200, 500])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--keep", action="store_true", help=f"write {RESULT.name}")
    given = parser.parse_args()
    with running_stack() as stack:
        runs = [asyncio.run(measure(stack, rate, given.seconds)) for rate in given.rates]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load": os.getloadavg()[0]}
    found = {
        "at": datetime.now(UTC).isoformat(),
        "commit": commit,
        "python": platform.python_version(),
        "machine": machine,
        "runs": runs,
    }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if given.keep:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
