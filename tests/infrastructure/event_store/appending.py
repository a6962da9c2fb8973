"""A process that appends what it is told to, line by line; the tests of crashes kill it, and what it talks to.

    python -m tests.infrastructure.event_store.appending <url>

Each line of its standard input is a Wish (or `hang up`), each line of its standard output an answer; both are JSON.
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import uvloop
from psycopg import AsyncConnection

from command_service.infrastructure.event_store import PostgresEventStore, connections
from command_service.infrastructure.event_store.port import IdempotencyRecord, KeyAlreadyUsed
from shared_kernel.errors import TwinlogError
from shared_kernel.observability import configure_logging
from tests.infrastructure.event_store.given import TOPIC, append, event
from tests.infrastructure.event_store.ledger import payloads

LOCK_TIMEOUT, STATEMENT_TIMEOUT, PATIENCE = 0.8, 1.2, 3.0
"""Seconds: shorter than in service, so that many rounds fit into a test."""

HANG_UP = b"hang up\n"
"""All clients go away, each in the middle of its request."""

_SHORTER = """
SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false)
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """An append under a key (hex); its events carry the marks of the attempt."""

    number: int
    stream: str
    expected: int
    count: int
    key: str

    def as_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


async def answer_to(store: PostgresEventStore, wish: Wish) -> dict[str, Any]:
    """`attempt` names whose events are in the log."""
    record = IdempotencyRecord("client", bytes.fromhex(wish.key), bytes(32), 201, str(wish.number).encode())
    events = [event(payload) for payload in payloads(wish.number, wish.count)]
    try:
        appended = await store.append(append(wish.stream, wish.expected, *events, key=record))
    except KeyAlreadyUsed as used:
        return {"outcome": "KeyAlreadyUsed", "attempt": int(used.record.answer)}
    except TwinlogError as error:
        return {"outcome": type(error).__name__}
    return {"outcome": "Appended", "position": appended.position}


async def serve(url: str) -> None:
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with PostgresEventStore(url, topics={TOPIC}, patience=PATIENCE) as store, asyncio.TaskGroup() as wishes:
        under_way: set[asyncio.Task[dict[str, Any]]] = set()
        while line := await lines.readline():
            if line == HANG_UP:
                for task in under_way:
                    task.cancel()
            else:
                wish = Wish(**json.loads(line))
                task = wishes.create_task(answer_to(store, wish))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                task.add_done_callback(partial(respond, wish.number))


def respond(number: int, task: asyncio.Task[dict[str, Any]]) -> None:
    """A client that has hung up does not know, and will ask again."""
    answer = {"outcome": "Gone"} if task.cancelled() else task.result()
    sys.stdout.write(json.dumps({"number": number, **answer}) + "\n")
    sys.stdout.flush()


def main() -> None:
    configure_logging("appending", "warning")
    usual = connections.configure

    async def impatient(connection: AsyncConnection[Any]) -> None:
        await usual(connection)
        await connection.execute(_SHORTER, [f"{seconds * 1_000:g}" for seconds in (LOCK_TIMEOUT, STATEMENT_TIMEOUT)])

    connections.configure = impatient
    uvloop.run(serve(sys.argv[1]))


if __name__ == "__main__":
    main()
