"""An event may be of any size: the largest legal one, and what only the persistence module could have written."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import redis

from command_service.infrastructure.event_store.port import Append, NewEvent
from command_service.infrastructure.event_store.store import MAX_PAYLOAD, PostgresEventStore
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceArchived, ResourceCreated
from shared_kernel.messaging.partition import stream_key
from tests.support.chain import Chain, created_as
from tests.support.history import METADATA
from tests.support.processes import wait_until


async def test_event_of_any_size_arrives_and_holds_nobody_up(chain: Chain) -> None:
    """The largest legal one on the stream; one that only the persistence module could write, through the feed."""
    sizes = {uuid4(): MAX_PAYLOAD, uuid4(): 10 * 1024 * 1024}
    store = PostgresEventStore(chain.store_url, topics=registry().by_topic.keys(), max_payload=max(sizes.values()))
    async with store:
        for resource, size in sizes.items():
            created = created_as(resource, f"r{size}")
            archived = b'{"resource_id":"%s","padding":"%s"}' % (str(resource).encode(), b"x" * size)
            archived = archived[: size - 2] + b'"}'
            events = [
                NewEvent(uuid4(), ResourceCreated.TOPIC, created.model_dump_json().encode(), METADATA),
                NewEvent(uuid4(), ResourceArchived.TOPIC, archived, METADATA),
            ]
            await store.append(Append("default", f"resources-{resource}", 0, tuple(events)))
    await chain.append(2)
    await chain.shows(4)

    def arrived() -> bool:
        with psycopg.connect(chain.query_database.app_url) as connection:
            query = "SELECT octet_length(payload) FROM audit_events WHERE octet_length(payload) > 100000 ORDER BY 1"
            return [size for (size,) in connection.execute(query).fetchall()] == sorted(sizes.values())

    await asyncio.to_thread(wait_until, arrived, "both are in the audit copy")
    with psycopg.connect(chain.query_database.app_url) as connection:
        states = connection.execute("SELECT state FROM blue.resources WHERE length(name) > 5").fetchall()
    assert states[:2] == [("archived",), ("archived",)]
    with redis.Redis.from_url(chain.variables["TWINLOG_REDIS_URL"]) as client:
        entries: Any = [entry for n in range(8) for entry in client.xrange(stream_key(n))]
    assert max(len(fields[b"data"]) for _, fields in entries) == MAX_PAYLOAD
