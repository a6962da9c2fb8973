"""The hot path over HTTP against a bare FastAPI echo and against FastAPI with `eventsourcing` wired by the book.

    python -m tests.benchmarks --section http [--only ours/post echo/post]

Every contestant is one worker of the same server (uvicorn, uvloop, httptools) and has the first core to itself, with
the same 32 connections and the same bytes sent to it. Load generator, PostgreSQL, Redis, relay and projector share
the other cores. Ours is the whole running stack: tokens, denials, rate limits, authorisation, idempotency keys,
encryption, metrics, log lines for each request, fsync on. What one worker can do is asked in `ours/post`, where relay
and projector wait until its run is over; in `ours/post-delivered` they publish and project every event meanwhile, which
on two cores also measures how all of them share the second one. Two figures count: the rate, and the processor time
that a request costs the server, which stays true when others use this machine. The bare echo reads a body and answers
it (`echo/post`); `echo/get` reads an id from its path, and what answers a GET is held against both.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from psycopg.conninfo import conninfo_to_dict

from deploy.local.ports import LOOPBACK, free_port
from tests.benchmarks.http_client import Load
from tests.benchmarks.section import Demand, Findings, Plan
from tests.support.load import Author, sign_up
from tests.support.processes import ROOT, wait_until
from tests.support.stack import Stack, running_stack

PEOPLE = 8
RESOURCES = 512
"""How many resources are asked for in turn."""

BODY = json.dumps(
    {
        "name": "orjson 3.13.0",
        "description": "Fast, correct JSON library for Python that knows dataclasses, datetimes and numpy",
        "classification": "internal",
        "attributes": {"licence": "Apache-2.0", "requires": []},
        "tags": ["python", "json"],
    }
)
PACKAGES = ("fastapi", "starlette", "pydantic", "uvicorn", "uvloop", "httptools", "eventsourcing", "psycopg")

RATES = (
    Demand("ours/post", "echo/post", 0.4, 0.5),
    Demand("ours/get", "echo/post", 0.5, 0.6),
    Demand("ours/get-304", "echo/post", 0.7, 0.9),
    Demand("ours/get", "echo/get", 0.5, 0.6),
    Demand("ours/get-304", "echo/get", 0.7, 0.9),
)
BY_THE_BOOK = (Demand("ours/post", "book/post", 6, 10), Demand("ours/post-delivered", "book/post", 6, 10))
DELIVERED = (Demand("ours/post-delivered", "echo/post", 0.4, 0.5),)

HELD_BACK = frozenset({"ours/post"})
"""Rows that are measured while relay and projector stand still."""

QUOTAS = {f"TWINLOG_RATE_{whose}": "50000000/60" for whose in ("ADDRESS", "USER", "TENANT")}
"""Limits that count every request and refuse none: all of this comes from one address."""


def in_processor_time(demand: Demand) -> Demand:
    """The same demand of what a request costs the server."""
    goal = None if demand.goal is None else 1 / demand.goal
    return Demand(demand.ours, demand.theirs, 1 / demand.must, goal, figure="cpu_us", at_most=True)


class Http:
    """The section `http` of `make bench`."""

    name = "http"
    title = "HTTP, one worker, 32 connections"
    demands: Sequence[Demand] = (*RATES, *DELIVERED, *BY_THE_BOOK, *map(in_processor_time, RATES))

    def measure(self, plan: Plan) -> Findings:
        first, others = _cores()
        with ExitStack() as stack:
            stack.enter_context(_running_on(others))
            place = stack.enter_context(Place.prepared(first))
            loads = {name: load for name, load in place.loads().items() if plan.wants(name)}
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in loads}
            for _ in range(plan.rounds):
                for name, load in loads.items():
                    with place.delivery(held_back=name in HELD_BACK):
                        runs[name].append(measure(replace(load, seconds=plan.seconds)))
                    place.settle()
        return Findings(runs, about={"packages": {name: version(name) for name in PACKAGES}, "connections": 32})


def measure(load: Load) -> dict[str, float]:
    """One run of the load generator, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.http_client"],
        cwd=ROOT,
        input=json.dumps(asdict(load)),
        text=True,
        check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """A running stack and its peers, each API process on the first core, with people and resources in it."""

    stack: Stack
    people: Sequence[Author]
    resources: Sequence[str]
    peers: Mapping[str, tuple[int, int]]
    """Port and process id by name."""

    @classmethod
    @contextmanager
    def prepared(cls, core: set[int]) -> "Iterator[Place]":
        with running_stack(QUOTAS) as stack, ExitStack() as peers:
            pids = stack.pids()
            _move(pids["command"], core)
            _move(pids["query"], core)
            people, resources = asyncio.run(_populate(stack))
            found = {name: peers.enter_context(_peer(name, stack, core)) for name in ("echo", "book")}
            yield cls(stack, people, resources, found)

    def loads(self) -> dict[str, Load]:
        """By name of the row, in the order of measuring."""
        tokens = [person.token for person in self.people]
        one = [f"/v1/resources/{name}" for name in self.resources]
        post: dict[str, Any] = {"method": "POST", "paths": ["/v1/resources"], "body": BODY, "expect": 201}
        get: dict[str, Any] = {"method": "GET", "paths": one, "expect": 200}
        known: dict[str, Any] = {**get, "headers": {"If-None-Match": '"1"'}, "expect": 304}
        places: dict[str, dict[str, Any]] = {name: self._at_peer(name) for name in self.peers}
        command, query = self._at(self.stack.command_url, "command"), self._at(self.stack.query_url, "query")
        asked = {
            "echo/post": places["echo"] | post,
            "echo/get": places["echo"] | get,
            "book/post": places["book"] | post,
            "ours/post": command | post,
            "ours/post-delivered": command | post,
            "ours/get": query | get,
            "ours/get-304": query | known,
        }
        return {name: Load(**load, tokens=tokens) for name, load in asked.items()}

    @contextmanager
    def delivery(self, *, held_back: bool) -> Iterator[None]:
        """Relay and projector go on, or stand still for a moment."""
        pids = [self.stack.pid_of(name) for name in ("relay", "projector")] if held_back else []
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def settle(self) -> None:
        """Until all that was written is projected, so that nobody is measured beside another one's remains."""
        asyncio.run(_until_projected(self.stack, self.people[0]))

    def _at(self, url: str, process: str) -> dict[str, Any]:
        parts = urlsplit(url)
        return {"host": parts.hostname, "port": parts.port, "pid": self.stack.pid_of(process)}

    def _at_peer(self, name: str) -> dict[str, Any]:
        port, pid = self.peers[name]
        return {"host": LOOPBACK, "port": port, "pid": pid}


async def _populate(stack: Stack) -> tuple[list[Author], list[str]]:
    async with httpx2.AsyncClient(timeout=30) as http:
        people = [await sign_up(stack, http) for _ in range(PEOPLE)]
        ids: list[str] = []
        for start in range(0, RESOURCES, PEOPLE):
            made = await asyncio.gather(*(_create(stack, http, person) for person in people))
            ids += made
            assert len(ids) == start + PEOPLE
        await _until_projected(stack, people[0])
    return people, ids


async def _create(stack: Stack, http: httpx2.AsyncClient, by: Author) -> str:
    headers = {**by.headers, "Content-Type": "application/json"}
    answer = await http.post(f"{stack.command_url}/v1/resources", content=BODY, headers=headers)
    answer.raise_for_status()
    return str(answer.json()["id"])


async def _until_projected(stack: Stack, person: Author) -> None:
    async with httpx2.AsyncClient(timeout=60, headers=person.headers) as http:
        written = await http.post(f"{stack.command_url}/v1/resources", json={"name": "the last one"})
        token = {"Consistency-Token": written.headers["Consistency-Token"], "Prefer": "wait=30"}
        (await http.get(f"{stack.query_url}/v1/resources?limit=1", headers=token)).raise_for_status()


@contextmanager
def _peer(name: str, stack: Stack, core: set[int]) -> Iterator[tuple[int, int]]:
    """One of `http_peers` on a core; the library keeps its table in a corner of our own database server."""
    port = free_port(LOOPBACK)
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    database = conninfo_to_dict(kept["owner"]["COMMAND_OWNER_URL"])
    variables = {"PERSISTENCE_MODULE": "eventsourcing.postgres"} | {
        f"POSTGRES_{name.upper()}": str(database[name]) for name in ("dbname", "host", "port", "user", "password")
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.http_peers", name, str(port)],
        cwd=ROOT,
        env={**os.environ, **variables},
    ) as process:
        try:
            wait_until(lambda: _answers(port) or process.poll() is not None, f"{name} answers")
            _move(process.pid, core)
            yield port, process.pid
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with suppress(httpx2.TransportError):
        return httpx2.get(f"http://{LOOPBACK}:{port}/openapi.json").status_code == 200
    return False


def _cores() -> tuple[set[int], set[int]]:
    """The server's core and everybody else's; all of them for both where there is only one, or where we cannot tell."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    first, *others = sorted(os.sched_getaffinity(0))
    return ({first}, set(others)) if others else ({first}, {first})


@contextmanager
def _running_on(cores: set[int]) -> Iterator[None]:
    """This process, and what it starts meanwhile."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _move(pid: int, cores: set[int]) -> None:
    """All threads of a process."""
    for task in Path(f"/proc/{pid}/task").iterdir() if cores else ():
        os.sched_setaffinity(int(task.name), cores)
