"""How fast the relay publishes, and how fast a standby takes over. `python -m tests.benchmarks.relay [--keep]`.

A log is filled once; then the relay, as a process, publishes all of it on an empty Redis, again and again. The time
runs from its first batch, so that what counts is reading, checking leaves, and adding to the streams. For the
takeover, the leader of two relays is killed or frozen, and the time runs until the first event is published that was
appended afterwards.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import redis

from command_service.infrastructure.event_store.port import Append, NewEvent
from command_service.infrastructure.event_store.store import PostgresEventStore
from deploy.local.databases import COMMAND, VAULT
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support import results
from tests.support.cluster import Cluster, Database, Vault, running_cluster, running_valkey
from tests.support.command_process import CommandProcess, command_process, variables_of
from tests.support.history import METADATA
from tests.support.processes import wait_until
from tests.support.write_side import TOPIC

MODULE = "command_service.relay"
PAYLOAD = b'{"n": 1, "text": "%s"}' % (b"x" * 200)
STREAMS_AT_ONCE, EVENTS_PER_STREAM = 400, 5
MUST = 20_000
"""Events per second."""


async def fill(database: Database, events: int) -> None:
    """That many events, five for each stream."""
    async with PostgresEventStore(database.app_url, topics=[TOPIC]) as store:
        for _ in range(0, events, STREAMS_AT_ONCE * EVENTS_PER_STREAM):
            appends = [
                Append(
                    "default",
                    f"things-{uuid4()}",
                    0,
                    tuple(NewEvent(uuid4(), TOPIC, PAYLOAD, METADATA) for _ in range(EVENTS_PER_STREAM)),
                )
                for _ in range(STREAMS_AT_ONCE)
            ]
            await asyncio.gather(*map(store.append, appends))


def head(client: redis.Redis) -> int:
    stored = client.get(MARK_KEY)
    return Mark.decode(stored).head if isinstance(stored, bytes) else 0


def publishing_rate(variables: dict[str, str], database: Database, client: redis.Redis, events: int) -> float:
    """Events per second from the first batch to the last one."""
    client.flushall()
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("DELETE FROM publication")
    with command_process(variables, MODULE):
        wait_until(lambda: head(client) > 0, "the first batch", 60)
        begun, first = time.perf_counter(), head(client)
        wait_until(lambda: head(client) >= events, "the last batch", 300)
        return (events - first) / (time.perf_counter() - begun)


def takeover(variables: dict[str, str], database: Database, client: redis.Redis, end: signal.Signals) -> float:
    """Seconds from the end of the leader until the standby has published what was appended afterwards."""
    client.flushall()
    with ExitStack() as stack:
        relays = [stack.enter_context(command_process(variables, MODULE)) for _ in range(2)]
        wait_until(lambda: any(map(leads, relays)), "one of them leads")
        leader = next(relay for relay in relays if leads(relay))
        before = head(client)
        begun = time.perf_counter()
        os.kill(leader.process.pid, end)
        asyncio.run(fill(database, 1))
        wait_until(lambda: head(client) > before, "the standby publishes")
        return time.perf_counter() - begun


def leads(relay: CommandProcess) -> bool:
    return "twinlog_relay_leader 1.0" in httpx2.get(f"{relay.url}/metrics").text


def measure(cluster: Cluster, redis_url: str, events: int, rounds: int) -> dict[str, Any]:
    with ExitStack() as stack:
        name, vault = stack.enter_context(cluster.copy_of(COMMAND)), stack.enter_context(cluster.copy_of(VAULT))
        database = Database(name, cluster.url(name, COMMAND.owner), cluster.url(name, COMMAND.users[0]))
        keys = Vault(vault, cluster.url(vault, VAULT.owner), *(cluster.url(vault, user) for user in VAULT.users))
        further = {"TWINLOG_REDIS_URL": redis_url, "TWINLOG_RELAY_PORT": "0", "TWINLOG_STREAM_LENGTH": str(events)}
        variables = variables_of(database, keys, **further)
        client = stack.enter_context(redis.Redis.from_url(redis_url))
        asyncio.run(fill(database, events))
        rates = [publishing_rate(variables, database, client, events) for _ in range(rounds)]
        seconds = {
            end.name: [takeover(variables, database, client, end) for _ in range(rounds)]
            for end in (signal.SIGKILL, signal.SIGSTOP)
        }
    return {
        "events": events,
        "payload_bytes": len(PAYLOAD),
        "rounds": rounds,
        "published_per_second": {"median": round(statistics.median(rates)), "runs": [round(rate) for rate in rates]},
        "must_per_second": MUST,
        "reached": statistics.median(rates) >= MUST,
        "takeover_seconds": {
            name: {"median": round(statistics.median(each), 2), "max": round(max(each), 2)}
            for name, each in seconds.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="write docs/results/relay.json")
    given = parser.parse_args()
    with running_cluster() as cluster, running_valkey() as redis_url:
        found = measure(cluster, redis_url, given.events, given.rounds)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if given.keep:
        results.write("relay", found)


if __name__ == "__main__":
    main()
