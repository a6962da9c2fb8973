"""The relay itself: wait to be the leader, agree with Redis, then publish the log in position order, for ever."""

import asyncio

import psycopg
from redis.exceptions import RedisError

from command_service.relay.agreement import Resumption, agree
from command_service.relay.log import Log, connect
from command_service.relay.publisher import Publisher
from command_service.relay.publishing import Publishing
from command_service.relay.refusals import EpochChanged, PublicationRefused
from command_service.relay.status import Status
from shared_kernel.background import end
from shared_kernel.clock import Clock, microseconds
from shared_kernel.messaging.backoff import Backoff, pause

BATCH = 1_000
IDLE = 0.1
"""Seconds without a notification after which the log is read all the same."""

LEAD_TRY_EVERY = 0.2
REFUSED_PAUSE = 2.0


class Relay:
    """Runs until `stop` is set. Redis or PostgreSQL may go and come back; nothing is lost and nothing doubled."""

    def __init__(
        self,
        database_url: str,
        publisher: Publisher,
        status: Status,
        *,
        clock: Clock,
        stop: asyncio.Event,
        catch_up_at_most: int,
    ) -> None:
        self._database_url = database_url
        self._publisher = publisher
        self._status = status
        self._clock = clock
        self._stop = stop
        self._catch_up_at_most = catch_up_at_most

    async def run(self) -> None:
        """Lead, or wait for the lead, again and again."""
        backoff = Backoff(self._stop)
        while not self._stop.is_set():
            try:
                async with await connect(self._database_url) as connection:
                    backoff.reset()
                    await self._take_part(Log(connection))
            except psycopg.Error as error:
                self._status.report("database", f"The command database cannot be used ({type(error).__name__}).")
                await backoff.pause()

    async def _take_part(self, log: Log) -> None:
        try:
            await self._wait_and_lead(log)
        finally:
            self._status.led(leading=False)

    async def _wait_and_lead(self, log: Log) -> None:
        while not await log.try_lead():
            self._status.report("database", "")
            await pause(self._stop, LEAD_TRY_EVERY)
            if self._stop.is_set():
                return
        self._status.report("database", "")
        self._status.led(leading=True)
        await log.listen()
        alive = asyncio.create_task(log.keep_alive())
        try:
            await self._lead(log)
        finally:
            await end(alive)  # a session that broke is found by all who use it

    async def _lead(self, log: Log) -> None:
        backoff = Backoff(self._stop, longest=2.0)
        while not self._stop.is_set():
            try:
                resumption = await agree(log, self._publisher, self._catch_up_at_most)
                await self._publish(log, resumption, backoff)
            except EpochChanged:
                continue
            except PublicationRefused as refusal:
                self._status.report("redis", "")
                self._status.report("log", refusal.detail)
                await pause(self._stop, REFUSED_PAUSE)
            except (RedisError, OSError) as error:
                await self._redis_is_away(log, error)
                await backoff.pause()

    async def _redis_is_away(self, log: Log, error: Exception) -> None:
        known = await log.publication()
        position = known.position if known else 0
        waiting = await log.head() - position
        self._status.behind(waiting, self._age(await log.recorded_at(position + 1)))
        self._status.report("redis", f"Redis cannot be used ({type(error).__name__}); events wait in the log.")

    async def _publish(self, log: Log, resumption: Resumption, backoff: Backoff) -> None:
        publishing = Publishing(log, self._publisher, self._clock, resumption)
        await publishing.upkeep()
        self._status.report("redis", "")
        self._status.report("log", "")
        try:
            while not self._stop.is_set():
                await self._step(log, publishing)
                backoff.reset()
        except (RedisError, OSError):
            await publishing.save()
            raise
        await publishing.save()

    async def _step(self, log: Log, publishing: Publishing) -> None:
        rows = await log.read(publishing.done.position, BATCH)
        if await log.epoch() != publishing.done.epoch:  # asked after reading: what came after it is of another epoch
            raise EpochChanged
        behind = await log.head() - publishing.done.position if rows else 0
        self._status.behind(behind, self._age(rows[0].recorded_at) if rows else 0.0)
        if rows:
            self._status.published.inc(await publishing.publish(rows))
        await publishing.upkeep()
        await log.wait(0 if rows else IDLE)

    def _age(self, recorded_at: int | None) -> float:
        return 0.0 if recorded_at is None else (microseconds(self._clock.now()) - recorded_at) / 1_000_000
