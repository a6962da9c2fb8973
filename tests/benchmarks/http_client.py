"""A load generator for HTTP/1.1 that costs little and the same for everybody: raw bytes over kept connections.

Reads one JSON object from stdin (`Load`), prints one line of JSON. The processor time of the server is read here too,
at the very beginning and the very end of the measured interval.
"""

import asyncio
import gc
import itertools
import json
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvloop

from tests.benchmarks.measure import SHARES, quantile

_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
KEY = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: each connection has one of `tokens` and goes through `paths`; every request has a key of its own.

    `warm_up` and `seconds` say for how long without and with counting, `pid` whose processor time is read.
    """

    host: str
    port: int
    method: str
    paths: list[str]
    tokens: list[str]
    expect: int
    pid: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 32
    warm_up: float = 0.5
    seconds: float = 2.0

    def requests(self, number: int) -> list[tuple[bytes, bytes]]:
        """For one connection and each path: what comes before and after the key."""
        given = {
            "Host": f"{self.host}:{self.port}",
            "Authorization": f"Bearer {self.tokens[number % len(self.tokens)]}",
        }
        if self.body:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(self.body.encode()))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in (given | self.headers).items())
        tail = f"\r\n\r\n{self.body}".encode()
        heads = [f"{self.method} {path} HTTP/1.1\r\n{lines}{KEY}: ".encode() for path in self.paths]
        start = number * len(heads) // self.connections  # not everybody asks the same at the same time
        return [(head, tail) for head in heads[start:] + heads[:start]]


class Run:
    """All connections of one load: counts while `counting`."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.latencies: list[float] = []
        self.counting = False
        self.stopped = False
        self.wrong: bytes = b""
        self.keys = itertools.count(time.time_ns())  # never those of an earlier run

    def answered(self, began: float, status: int, answer: bytes) -> None:
        if status != self.load.expect:
            self.wrong, self.stopped = answer, True
        elif self.counting:
            self.latencies.append(time.perf_counter() - began)


class Connection(asyncio.Protocol):
    """Sends the next request when the last one is answered."""

    def __init__(self, run: Run, number: int) -> None:
        self._run = run
        self._requests = itertools.cycle(run.load.requests(number))
        self._received = b""
        self._began = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(received, 0, head + 2)
        if len(received) < head + 4 + (int(length[1]) if length else 0):
            return
        status = _STATUS.match(received)
        self._run.answered(self._began, int(status[1]) if status else 0, received)
        self._received = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._run.stopped:
            self._run.wrong, self._run.stopped = f"the connection was lost: {exc}".encode(), True

    def _send(self) -> None:
        if self._run.stopped:
            self._transport.close()
            return
        head, tail = next(self._requests)
        self._began = time.perf_counter()
        self._transport.write(b"%b%d%b" % (head, next(self._run.keys), tail))


def processor_seconds(pid: int) -> float:
    """What all threads of a process have used so far, to the nanosecond as the scheduler counts it."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def drive(load: Load) -> dict[str, Any]:
    """Raises RuntimeError with the first answer that is not what was expected."""
    run, loop = Run(load), asyncio.get_running_loop()
    for number in range(load.connections):
        await loop.create_connection(lambda number=number: Connection(run, number), load.host, load.port)  # type: ignore[misc] # mypy takes the default for an argument
    await asyncio.sleep(load.warm_up)
    run.counting, used, mine, began = True, processor_seconds(load.pid), time.process_time(), time.perf_counter()
    await asyncio.sleep(load.seconds)
    run.counting, elapsed = False, time.perf_counter() - began
    used, mine = processor_seconds(load.pid) - used, time.process_time() - mine
    run.stopped = True
    await asyncio.sleep(0.05)
    if run.wrong or not run.latencies:
        raise RuntimeError(run.wrong.decode(errors="replace") or "nobody answered")
    return figures(sorted(run.latencies), elapsed, used, mine)


def figures(latencies: list[float], elapsed: float, used: float, mine: float) -> dict[str, Any]:
    """Rates, times and what a request cost the server (`cpu_us`) and this client (`client_cpu_us`)."""
    count = len(latencies)
    return {
        "requests": count,
        "per_second": round(count / elapsed),
        **{name: round(1e3 * quantile(latencies, share), 3) for name, share in SHARES.items()},
        "cpu_us": round(1e6 * used / count, 1),
        "client_cpu_us": round(1e6 * mine / count, 1),
        "server_busy": round(used / elapsed, 3),
    }


def main() -> None:
    load = Load(**json.load(sys.stdin))
    gc.collect()
    gc.freeze()
    try:
        sys.stdout.write(json.dumps(uvloop.run(drive(load))) + "\n")
    except (OSError, RuntimeError) as error:
        sys.exit(f"the load on {load.method} {load.paths[0]} failed: {error}")


if __name__ == "__main__":
    os.environ.pop("PYTHONASYNCIODEBUG", None)
    main()
