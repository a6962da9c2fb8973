"""Where the crashes happen: a durable server, a line that can be cut, clients, and a reader that tails the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from command_service.infrastructure.event_store import PostgresEventStore
from deploy.local.databases import COMMAND
from deploy.local.engines import EmbeddedPostgres
from shared_kernel.background import end
from tests.infrastructure.event_store.crowd import Appending, Crowd, crowd_of
from tests.infrastructure.event_store.cutting_proxy import CuttingProxy, cutting_proxy
from tests.infrastructure.event_store.given import TOPIC, append, event
from tests.infrastructure.event_store.ledger import mark_of
from tests.infrastructure.event_store.racing import OURS
from tests.support.cluster import Cluster
from tests.support.places import open_folder

CLIENTS = 16
PAGE_FILLER = 7_800
"""Bytes of a payload that leave no room for another row in its page."""


@dataclass
class Follower:
    """Reads as a projector does, and goes on from where it was after every crash."""

    start: int
    seen: list[tuple[int, int]] = field(default_factory=list)

    @property
    def last(self) -> int:
        return self.seen[-1][0] if self.seen else self.start

    async def follow(self, scene: "Scene") -> None:
        while True:
            with suppress(psycopg.Error):
                async with await psycopg.AsyncConnection.connect(scene.app_url, autocommit=True) as connection:
                    await self._read(connection)
            await asyncio.sleep(0.05)

    async def _read(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            cursor = await connection.execute(OURS, (self.last,), binary=True)
            rows = await cursor.fetchall()
            self.seen += [(position, mark_of(payload)) for position, payload in rows]
            if not rows:
                await asyncio.sleep(0.01)


@dataclass
class Scene:
    """Everything that a harm can be done to; `in_flight` is how many requests were under way when it was."""

    engine: EmbeddedPostgres
    database: str
    proxy: CuttingProxy
    crowd: Crowd
    cluster: Cluster
    follower: Follower
    in_flight: int = 0

    @property
    def appending(self) -> Appending:
        return self.crowd.appending

    @property
    def app_url(self) -> str:
        return make_conninfo(self.cluster.url(self.database, COMMAND.users[0]), port=self.engine.port)

    @property
    def server_url(self) -> str:
        return make_conninfo(self.engine.url(), dbname=self.database)

    async def strike(self) -> None:
        """Return at a moment when requests are under way, and remember how many."""
        await self.crowd.until(lambda: self.appending.in_flight, "a request in flight")
        self.in_flight = self.appending.in_flight

    async def restart(self) -> None:
        """Start the server anew once its last process is gone; the line leads to where it answers now."""
        await self.crowd.until(lambda: self.engine.pid == 0, "the server to be gone")
        await asyncio.to_thread(self.engine.start)
        self.proxy.server_url = self.app_url


@asynccontextmanager
async def scene_of(folder: Path, seed: int) -> AsyncIterator[Scene]:
    with open_folder() as place:
        engine = EmbeddedPostgres(place / "engine", durable=True)
        try:
            cluster = Cluster(await asyncio.to_thread(engine.start))
            with cluster.copy_of(COMMAND) as name:
                async with _at(engine, cluster, name, folder, seed) as scene:
                    yield scene
                cluster.server_url = engine.url()  # where its database is dropped
        finally:
            await asyncio.to_thread(engine.stop)


@asynccontextmanager
async def _at(engine: EmbeddedPostgres, cluster: Cluster, name: str, folder: Path, seed: int) -> AsyncIterator[Scene]:
    start = await _fill(cluster.url(name, COMMAND.users[0]))
    async with (
        cutting_proxy(cluster.url(name, COMMAND.users[0])) as proxy,
        crowd_of(Appending(proxy.url, folder / "appending.log"), CLIENTS, seed) as crowd,
    ):
        scene = Scene(engine, name, proxy, crowd, cluster, Follower(start))
        following = asyncio.create_task(scene.follower.follow(scene))
        try:
            yield scene
        finally:
            await end(following)


async def _fill(url: str) -> int:
    """Make the table larger than a segment of the journal: only then can it alone run out of room."""
    async with PostgresEventStore(url, topics={TOPIC}) as store:
        for number in range(4):
            events = [event(bytes(PAGE_FILLER)) for _ in range(600)]
            appended = await store.append(append(f"filler-{number}", 0, *events))
    return appended.position
