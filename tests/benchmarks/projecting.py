"""The contestants of projection: the library's runner, our projector on full streams, our rebuild from the log."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
import redis

from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.benchmarks import library_runner, server
from tests.benchmarks.section import Demand, Figures, Findings, Plan
from tests.chaos.household import household
from tests.support.aftermath import until_ready
from tests.support.long_log import PERSON_EVERY, LongLog, lengthen, owner_of_log, people_of
from tests.support.processes import wait_until
from tests.support.stack import Stack, running_stack

ROWS = ("library", "live", "live-2", "rebuild")
SHARED_WITHIN = 3.0
"""Seconds after which two projectors have shared the partitions."""

LIBRARY_SHARE = 10
"""The library handles one event for so many of ours, so that everybody takes about as long."""

STANDING = "SELECT min(position) FROM public.checkpoints GROUP BY partition ORDER BY partition"
WITHIN = 600.0


@dataclass(frozen=True, slots=True)
class Projecting:
    """A section of measurements; `events` is how many we handle in one run."""

    events: int = 100_000
    name: str = "projection"
    title: str = "Projection, fsync on"
    demands: Sequence[Demand] = tuple(Demand(row, "library", 15, 30) for row in ("live", "live-2", "rebuild"))

    def measure(self, plan: Plan) -> Findings:
        """Each contestant in turn; ours on a fresh stack in each round."""
        found: dict[str, list[Figures]] = {row: [] for row in ROWS if plan.wants(row)}
        with server.postgres() as url:
            for _ in range(plan.rounds):
                if "library" in found:
                    found["library"].append(self._library(url))
                if found.keys() - {"library"}:
                    for row, figures in asyncio.run(self._ours()).items():
                        found.setdefault(row, []).append(figures)
            return Findings(found, about={"events": self.events, **server.about(url)})

    def _library(self, url: str) -> Figures:
        database = server.database(url, f"library_{uuid4().hex}")
        last = library_runner.fill(database, self.events // LIBRARY_SHARE)
        seconds = library_runner.run(database, last)
        return {"per_second": round(last / seconds), "seconds": round(seconds, 2), "events": last}

    async def _ours(self) -> dict[str, Figures]:
        with running_stack() as stack:
            await until_ready(stack)
            log = LongLog(await people_of(stack, self.events // PERSON_EVERY))
            live = self._live(stack, log, [stack.pid_of("projector")])
            async with household(stack) as house:
                await asyncio.sleep(SHARED_WITHIN)
                two = self._live(stack, log, [house.pids()[name] for name in ("projector", "projector-b")])
            told = stack.twinlog("projections", "rebuild", "--all", "--json", seconds=WITHIN)
            answer = json.loads(told.stdout)
            return {"live": live, "live-2": two, "rebuild": _figures(answer["events"], answer["seconds"])}

    def _live(self, stack: Stack, log: LongLog, projectors: Sequence[int]) -> Figures:
        """From its first batch after a rest until everything is shown; the streams are full by then."""
        variables = json.loads((stack.data / "secrets" / "environment.json").read_text())
        for projector in projectors:
            os.kill(projector, signal.SIGSTOP)
        first, last = lengthen(owner_of_log(stack), log, self.events)
        with redis.Redis.from_url(variables["query"]["REDIS_URL"]) as client:
            wait_until(lambda: _mark(client).head == last, "everything is published", WITHIN)
            ends = _mark(client).last
        with psycopg.connect(variables["query"]["QUERY_DATABASE_URL"], autocommit=True) as connection:
            for projector in projectors:
                os.kill(projector, signal.SIGCONT)
            wait_until(lambda: _handled(connection) >= first, "it goes on", WITHIN)
            begun, already = time.perf_counter(), _handled(connection)
            wait_until(lambda: _shown(connection) == list(ends), "everything is shown", WITHIN)
            return _figures(last - already, time.perf_counter() - begun)


def _handled(connection: psycopg.Connection[Any]) -> int:
    """How many events the audit copy holds; with it go all read models, in the same transactions."""
    (count,) = connection.execute("SELECT count(*) FROM public.audit_events").fetchone() or (0,)
    return int(count)


def _mark(client: redis.Redis) -> Mark:
    stored = client.get(MARK_KEY)
    assert isinstance(stored, bytes)
    return Mark.decode(stored)


def _shown(connection: psycopg.Connection[Any]) -> list[int]:
    """How far every read model and the audit copy are, by partition."""
    return [position for (position,) in connection.execute(STANDING)]


def _figures(events: int, seconds: float) -> Figures:
    return {"per_second": round(events / seconds), "seconds": round(seconds, 2), "events": events}
