"""Who follows a list over HTTP while one partition stands still and the others run ahead meets everything, in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from query_service.features import PROJECTIONS
from query_service.projector.checkpoints import LOG
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceCreated
from tests.support.cluster import Database, Vault
from tests.support.feed_server import running_feed
from tests.support.history import History
from tests.support.query_side import PARTITIONS, TENANT, Person, QuerySide
from tests.support.read_side import ReadSide, eventually, read_side

SHARED_BY_NOW = 1.5
"""Seconds after which two projectors have shared the partitions."""


@pytest.fixture
async def projected(
    query_side: QuerySide, query_database: Database, vault_database: Vault, redis_url: str
) -> AsyncIterator[ReadSide]:
    """What projectors need beside the query API, on the same stores."""
    async with (
        running_feed(History(partitions=PARTITIONS)) as server,
        read_side(query_database.app_url, vault_database.reader_url, redis_url, server) as ready,
    ):
        yield ready


def write(side: ReadSide, count: int) -> None:
    """Resources that are named by their position in the log."""
    for _ in range(count):
        resource, name = uuid4(), str(len(side.history.rows) + 1)
        created = ResourceCreated(
            resource_id=resource,
            owner=uuid4(),
            name=name,
            description="",
            classification="internal",
            attributes={},
            tags=(),
        )
        side.history.append(f"resources-{resource}", created, tenant=TENANT)


async def keep_writing(side: ReadSide, rounds: int) -> None:
    for _ in range(rounds):
        before = len(side.history.rows)
        write(side, 5)
        await side.publish(before)
        await asyncio.sleep(0.05)


@dataclass
class Follower:
    """Asks for a page, follows its link, and asks for the last page again while there is none."""

    api: QuerySide
    path: str
    position: Callable[[Mapping[str, Any]], int]
    person: Person = field(default_factory=lambda: Person(uuid4(), roles=("admin",)))
    seen: list[int] = field(default_factory=list)
    before_page: int = 0

    async def look(self) -> None:
        """One page; fails when a position was skipped, shown again, or slipped in behind the reader."""
        answer = await self.api.get(self.path, self.person)
        assert answer.status_code == 200, answer.text
        self.seen[self.before_page :] = [self.position(item) for item in answer.json()["items"]]
        assert self.seen == list(range(1, len(self.seen) + 1)), f"{self.path} is not in order from {self.before_page}"
        if link := answer.links.get("next"):
            self.path, self.before_page = str(link["url"]), len(self.seen)


@asynccontextmanager
async def stalled(side: ReadSide, partition: int) -> AsyncIterator[None]:
    """Nobody can move this partition on."""
    async with side.pool.connection() as stall, stall.transaction():
        await stall.execute(
            "SELECT position FROM public.checkpoints WHERE projection = %s AND partition = %s FOR UPDATE",
            (LOG.projection, partition),
        )
        yield


async def newest(side: ReadSide) -> int:
    [(position,)] = await side.rows("SELECT coalesce(max(position), 0) FROM public.audit_events")
    return int(position)


async def follow_a_stall(side: ReadSide, followers: list[Follower], partition: int) -> None:
    """Write and read while a partition stands still; the others must have run ahead of what is shown."""
    async with stalled(side, partition):
        writing = asyncio.create_task(keep_writing(side, 24))
        while not writing.done():
            for follower in followers:
                await follower.look()
            await asyncio.sleep(0.05)
        await writing
        ahead = await newest(side) - max(len(follower.seen) for follower in followers)
    assert ahead > 10, "the other partitions went on, so there was something to skip"


async def test_who_follows_events_and_resources_skips_nothing_that_a_stalled_partition_holds_back(
    query_side: QuerySide, projected: ReadSide
) -> None:
    side = projected
    write(side, 20)
    await side.publish()
    followers = [
        Follower(query_side, "/v1/events?limit=7", lambda item: int(item["position"])),
        Follower(query_side, "/v1/resources?limit=7", lambda item: int(item["name"])),
    ]
    async with (
        side.projector(*PROJECTIONS, events=registry()),
        side.projector(*PROJECTIONS, events=registry()),
    ):
        await side.caught_up(seconds=30)
        await asyncio.sleep(SHARED_BY_NOW)
        for partition in (0, 1):
            await follow_a_stall(side, followers, partition)

        async def complete() -> bool:
            for follower in followers:
                await follower.look()
            return all(len(follower.seen) == len(side.history.rows) for follower in followers)

        await eventually(complete, "everything is shown once the stall is over", seconds=30)
