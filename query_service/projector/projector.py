"""The projector of one process: connects, takes its share of partitions, works, and starts again after trouble."""

import asyncio
from typing import Any

import psycopg
from psycopg import AsyncConnection
from redis.exceptions import RedisError

from query_service.infrastructure.feed import FeedUnavailable
from query_service.projector import generations, leases
from query_service.projector.control import Control
from query_service.projector.decoding import Decoder, Keys
from query_service.projector.engine import Engine
from query_service.projector.leases import Leases
from query_service.projector.shift import Shift, Tools
from shared_kernel.background import end
from shared_kernel.events.contract import Event
from shared_kernel.events.registry import Registry
from shared_kernel.messaging.backoff import Backoff
from shared_kernel.privacy.payload import PayloadCodec


class Projector:
    """Runs until `tools.stop` is set; the batch in hand is finished first."""

    def __init__(self, tools: Tools, registry: Registry, keys: Keys, database_url: str) -> None:
        self._tools = tools
        self._database_url = database_url
        self._decoder = decoder_of(tools, registry, keys)

    async def run(self) -> None:
        """Batches, and beside them the loop that listens to operators; neither goes on without the other."""
        control = asyncio.create_task(Control(self._tools, self._decoder, self._database_url).run())
        batches = asyncio.create_task(self._project())
        try:
            await asyncio.wait((batches, control), return_when=asyncio.FIRST_COMPLETED)
            self._tools.stop.set()
            await batches
        finally:
            await end(batches, control)
        if not control.cancelled():
            control.result()

    async def _project(self) -> None:
        """PostgreSQL, Redis, vault and feed may go and come back: each time we go on from the checkpoints."""
        backoff = Backoff(self._tools.stop)
        while not self._tools.stop.is_set():
            try:
                async with leases.session(self._database_url) as session:
                    await self._work(session, backoff)
            except psycopg.Error as error:  # the pool's time-out is one too
                self._tools.status.report("database", f"The query database cannot be used ({type(error).__name__}).")
                await backoff.pause()
            except (RedisError, OSError) as error:
                self._tools.status.report("redis", f"Redis cannot be used ({type(error).__name__}).")
                await backoff.pause()
            except FeedUnavailable as error:
                self._tools.status.report("feed", error.detail)
                await backoff.pause()

    async def _work(self, session: AsyncConnection[Any], backoff: Backoff) -> None:
        epoch, partitions = await self._installation()
        async with self._tools.pool.connection() as connection:
            await generations.register(connection, self._tools.projections, epoch, partitions)
        engine = Engine(self._tools.projections, self._decoder, partitions)
        shift = Shift(self._tools, engine, Leases(session, partitions))
        try:
            while not self._tools.stop.is_set():
                await shift.step()
                backoff.reset()
        finally:
            await shift.end()

    async def _installation(self) -> tuple[int, int]:
        """(epoch, partitions): from our own books, or from the log; never from a mark, which may be of another log."""
        async with self._tools.pool.connection() as connection:
            if known := await generations.installed(connection):
                return known
        facts = await self._tools.feed.facts()
        return facts.epoch, facts.partitions


def decoder_of(tools: Tools, registry: Registry, keys: Keys) -> Decoder:
    """A decoder for exactly the events that these projections ask for."""
    wanted: frozenset[type[Event]] = frozenset(cls for projection in tools.projections for cls in projection.folds)
    return Decoder(registry, PayloadCodec(registry), keys, wanted)
