"""A projector's surroundings for one test: real query database, real vault, real Redis, a feed over real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis

from query_service.infrastructure.database import Database
from query_service.infrastructure.feed import Feed
from query_service.infrastructure.freshness import Freshness
from query_service.infrastructure.projection import Projection
from query_service.projector import generations
from query_service.projector.batch import Slice
from query_service.projector.bootstrap import prepare
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.decoding import Keys
from query_service.projector.engine import Engine
from query_service.projector.projector import Projector, decoder_of
from query_service.projector.shift import Tools
from query_service.projector.status import Status
from shared_kernel.clock import SystemClock
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.events.registry import Registry
from shared_kernel.messaging.client import redis_client
from shared_kernel.messaging.mark import MARK_KEY
from shared_kernel.messaging.message import encode
from shared_kernel.messaging.operations import OPERATIONS_KEY, OPERATIONS_PREFIX
from shared_kernel.messaging.partition import stream_key
from shared_kernel.observability import Metrics
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.vault import KeyVault
from tests.support.feed_server import CREDENTIAL, FeedServer
from tests.support.history import History
from tests.support.tallies import PROJECTION, REGISTRY, TallyOpened, TallyRaised
from tests.support.waiting import ended

KEK = Kek(1, {1: bytes(range(32))})


@dataclass(slots=True)
class Interrupted:
    """Keys that cannot be reached while they are `away`."""

    keys: Keys
    away: bool = False

    async def keys_of(self, pairs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], SubjectKey]:
        if self.away:
            raise ServiceUnavailable
        return await self.keys.keys_of(pairs)


@dataclass(slots=True)
class ReadSide:
    """Everything a projector needs, and a look at what it has made."""

    query_url: str
    redis_url: str
    pool: AsyncConnectionPool[AsyncConnection[Any]]
    redis: Redis
    feed: Feed
    feed_server: FeedServer
    vault: Keys
    history: History = field(default_factory=History)

    def tools(self, *projections: Projection, stop: asyncio.Event | None = None) -> Tools:
        status = Status(Metrics("test"), SystemClock())
        return Tools(self.pool, self.redis, self.feed, projections or (PROJECTION,), status, stop or asyncio.Event())

    def engine(self, *projections: Projection) -> Engine:
        tools = self.tools(*projections)
        return Engine(tools.projections, decoder_of(tools, REGISTRY, self.vault), self.history.partitions)

    @asynccontextmanager
    async def projector(self, *projections: Projection, events: Registry = REGISTRY) -> AsyncIterator[Tools]:
        """A running projector; it has stopped gracefully at the end of the block."""
        tools = self.tools(*projections)
        running = asyncio.create_task(Projector(tools, events, self.vault, self.query_url).run())
        try:
            yield tools
        finally:
            tools.stop.set()
            await ended(running)

    async def register(self, *projections: Projection) -> None:
        """What a projector does when it starts for the first time."""
        async with self.pool.connection() as connection:
            known = projections or (PROJECTION,)
            await generations.register(connection, known, self.history.epoch, self.history.partitions)

    async def publish(self, after: int = 0) -> None:
        """Put what came after a position into the streams, then the mark."""
        async with self.redis.pipeline(transaction=False) as pipeline:
            for message in self.history.messages(after):
                key = stream_key(self.history.partition(message.row))
                fields: dict[Any, Any] = dict(encode(message))
                pipeline.xadd(key, fields, id=message.entry_id)
                if message.row.stream.startswith(OPERATIONS_PREFIX):
                    pipeline.xadd(OPERATIONS_KEY, fields, id=message.entry_id)
            pipeline.set(MARK_KEY, self.history.mark().encode())
            await pipeline.execute()

    async def mark(self) -> None:
        """Rewrite the mark, as the relay does all the time."""
        await self.redis.set(MARK_KEY, self.history.mark().encode())

    def slices(self, after: int = 0, upto: int | None = None) -> Sequence[Slice]:
        """The rows in (after, upto] as batches of each partition."""
        starts, rows = self.history.last(after), self.history.rows[after:upto]
        wanted = sorted({self.history.partition(row) for row in rows})
        return [
            Slice(number, starts[number], self.history.epoch, [r for r in rows if self.history.partition(r) == number])
            for number in wanted
        ]

    async def apply(self, engine: Engine, slices: Sequence[Slice]) -> None:
        async with self.pool.connection() as connection:
            await engine.apply(connection, [await engine.prepare(events) for events in slices])

    async def rows(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query.encode(), params or None)).fetchall()

    async def totals(self, generation: str = "blue") -> dict[str, int]:
        """Totals by tally id."""
        return {str(key): total for key, total in await self.rows(f"SELECT id, total FROM {generation}.tallies")}  # noqa: S608 - a constant

    async def positions(self, unit: Unit = LOG) -> list[int]:
        """The unit's checkpoints by partition."""
        query = "SELECT position FROM public.checkpoints WHERE projection = %s AND generation = %s ORDER BY partition"
        async with self.pool.connection() as connection:
            cursor = await connection.execute(query, (unit.projection, unit.generation))
            return [position for (position,) in await cursor.fetchall()]

    async def caught_up(self, unit: Unit = LOG, seconds: float = 30.0) -> None:
        """Wait until a unit has handled the whole log."""
        await eventually(lambda: self._is_level(unit), f"{unit} has handled everything", seconds)

    async def _is_level(self, unit: Unit) -> bool:
        return await self.positions(unit) == self.history.last()


async def eventually(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> None:
    """Look until something holds; fail with a sentence when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"After {seconds:g} s still not: {what}")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def pool_of(url: str, size: int = 4) -> AsyncIterator[AsyncConnectionPool[AsyncConnection[Any]]]:
    async with AsyncConnectionPool(
        url, min_size=1, max_size=size, kwargs={"autocommit": True}, configure=prepare, open=False, timeout=5
    ) as pool:
        yield pool


@asynccontextmanager
async def read_side(query_url: str, vault_url: str, redis_url: str, server: FeedServer) -> AsyncIterator[ReadSide]:
    """Connect everything, and close it at the end."""
    feed = Feed(server.url, CREDENTIAL)
    async with pool_of(query_url) as pool, pool_of(vault_url, 2) as vault, redis_client(redis_url) as client:
        yield ReadSide(query_url, redis_url, pool, client, feed, server, KeyVault(vault, KEK), server.history)
    await feed.close()


def write(side: ReadSide, count: int, by: int = 1) -> None:
    """That many tallies, each opened and raised once."""
    for _ in range(count):
        tally = uuid4()
        side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally), TallyRaised(tally_id=tally, by=by))


async def has_reason(tools: Tools, check: str) -> bool:
    return bool((await tools.status.readiness())[check])


async def has_no_reason(tools: Tools, check: str) -> bool:
    return not await has_reason(tools, check)


@asynccontextmanager
async def reader_of(side: ReadSide) -> AsyncIterator[Freshness]:
    """What the query API decides by; `start` keeps it up to date until the end of the block."""
    database = Database(side.query_url)
    await database.pool.open(wait=True)
    freshness = Freshness(database, side.redis, b"k" * 32)
    try:
        yield freshness
    finally:
        await freshness.stop()
        await database.pool.close()
