"""The control loop: hears what operators ask, whatever the batches are doing, and carries it out.

What they ask is read from the log's feed alone: anybody may have written to Redis, so the stream of requests there only
says when to look. One process at a time carries requests out; the others stand by.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import AsyncConnection
from redis.exceptions import RedisError

from query_service.infrastructure.feed import FeedUnavailable
from query_service.projector import generations, leases, orders
from query_service.projector.auditor import Auditor
from query_service.projector.decoding import Decoder
from query_service.projector.engine import Engine
from query_service.projector.execution import Execution
from query_service.projector.orders import Order
from query_service.projector.parked_retry import retry_due
from query_service.projector.rebuilding import Rebuilding, Rested
from query_service.projector.shift import Tools
from shared_kernel.background import end
from shared_kernel.errors import Refusal, TwinlogError
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.operations import CATEGORY
from shared_kernel.messaging.backoff import Backoff, pause
from shared_kernel.messaging.operations import OPERATIONS_KEY
from shared_kernel.observability import get_logger

TICK = 0.25
STAND_BY = 1.0
ASK_FEED_EVERY = 30.0
ASK_FEED_AGAIN = 2.0
"""Seconds until the next look at the feed: for requests that Redis has lost, and while Redis or the feed is away."""


class Control:
    """Runs beside the batches until `tools.stop` is set, on connections of its own."""

    def __init__(self, tools: Tools, decoder: Decoder, database_url: str) -> None:
        self._tools = tools
        self._decoder = decoder
        self._database_url = database_url
        self._projections = {projection.name: projection for projection in tools.projections}
        self._ask_feed_at = 0.0
        self._newest = b""
        self._backoff = Backoff(tools.stop)
        self._building: asyncio.Task[None] | None = None
        self._auditing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Stores may go and come back."""
        while not self._tools.stop.is_set():
            try:
                async with await leases.connect(self._database_url) as session:
                    await self._stand_by(session)
                    await self._operate(session)
            except (psycopg.Error, TwinlogError, OSError) as error:
                reason = error.detail if isinstance(error, TwinlogError) else type(error).__name__
                self._tools.status.report("operations", f"Operators are not heard just now: {reason}")
                await self._backoff.pause()
            finally:
                await self._rest()

    async def _stand_by(self, session: AsyncConnection[Any]) -> None:
        """Until this is the process that carries requests out, and the projector has begun its books."""
        while not self._tools.stop.is_set():
            self._tools.status.report("operations", "")
            if await generations.installed(session) and await leases.try_lock(session, leases.OPERATING, 0):
                return
            self._backoff.reset()
            await pause(self._tools.stop, STAND_BY)

    async def _operate(self, session: AsyncConnection[Any]) -> None:
        _, partitions = await generations.installed(session) or (0, 0)
        engine = Engine(self._tools.projections, self._decoder, partitions)
        rebuilding = Rebuilding(self._tools, engine, partitions)
        execution = Execution(self._tools, engine)
        self._auditing = asyncio.create_task(Auditor(self._tools, self._decoder, partitions).run())
        while not self._tools.stop.is_set():
            await self._hear(session, partitions)
            for order in await orders.waiting(session):
                await self._carry_out(session, order, execution.of(order))
            await self._build(rebuilding)
            await retry_due(self._tools.pool, engine, self._projections)
            self._tools.status.report("operations", "")
            self._backoff.reset()
            await pause(self._tools.stop, TICK)

    async def _carry_out(
        self, session: AsyncConnection[Any], order: Order, act: Callable[[], Awaitable[str]] | None
    ) -> None:
        state, outcome = "refused", "This release does not know this read model or this request."
        if act is not None:
            try:
                state, outcome = "done", await act()
            except Refusal as refusal:
                outcome = refusal.detail
        await orders.settle(session, order, state, outcome)
        get_logger().info(
            "operator's request settled",
            action=order.action,
            projection=order.projection,
            position=order.position,
            state=state,
            outcome=outcome,
        )

    async def _hear(self, session: AsyncConnection[Any], partitions: int) -> None:
        """Raises FeedUnavailable while the book cannot be begun."""
        known = await orders.heard(session)
        if known is None:
            await self._begin(session, partitions)
            return
        try:
            if await self._woken():
                self._ask_feed_at = 0.0
        except (RedisError, OSError):
            self._ask_feed_at = min(self._ask_feed_at, time.monotonic() + ASK_FEED_AGAIN)
        if time.monotonic() >= self._ask_feed_at:
            await self._hear_feed(session, *known)

    async def _woken(self) -> bool:
        """Whether the newest entry is another than before; what is in it is nobody's word."""
        entries: Any = await self._tools.redis.xrevrange(OPERATIONS_KEY, count=1)
        before, self._newest = self._newest, entries[0][0] if entries else b""
        return self._newest != before

    async def _hear_feed(self, session: AsyncConnection[Any], epoch: int, position: int) -> None:
        self._ask_feed_at = time.monotonic() + ASK_FEED_EVERY
        try:
            facts, rows = await self._tools.feed.category(CATEGORY, position)
        except FeedUnavailable as unavailable:
            self._ask_feed_at = time.monotonic() + ASK_FEED_AGAIN
            get_logger().warning("the feed does not tell what operators ask", reason=unavailable.detail)
            return
        if facts.epoch == epoch:
            await orders.add(session, _asked(rows, epoch), epoch, rows[-1].position if rows else facts.head)

    async def _begin(self, session: AsyncConnection[Any], partitions: int) -> None:
        """Requests that are older than this query database are history, those that came since are to be done."""
        began = await orders.began_at(session)
        past: list[Order] = []
        position = 0
        while True:
            facts, rows = await self._tools.feed.category(CATEGORY, position)
            old = [row for row in rows if row.recorded_at < began]
            past += _asked(old, facts.epoch)
            if len(old) < len(rows) or not rows:
                break
            position = rows[-1].position
        upto = rows[len(old)].position - 1 if rows else facts.head
        await orders.begin(session, past, facts.epoch, upto, partitions)

    async def _build(self, rebuilding: Rebuilding) -> None:
        running = await rebuilding.look()
        if self._building is not None and not self._building.done():
            return
        known = [each for each in running if each.projection in self._projections]
        if known:
            self._building = asyncio.create_task(self._work(rebuilding, known, self._projections))

    async def _work(self, rebuilding: Rebuilding, running: Sequence[Any], projections: Mapping[str, Any]) -> None:
        for rebuild in running:
            try:
                await rebuilding.work(rebuild, projections[rebuild.projection])
            except Rested:
                continue
            except Exception as error:  # noqa: BLE001 - a side task: the next tick tries again from the checkpoints
                reason = f"{type(error).__name__}: {error}"[:300]
                get_logger().warning("a rebuild was interrupted", projection=rebuild.projection, reason=reason)
                await pause(self._tools.stop, STAND_BY)

    async def _rest(self) -> None:
        await end(self._building, self._auditing)
        self._building = self._auditing = None


def _asked(rows: Sequence[StoredRow], epoch: int) -> list[Order]:
    """The requests among these events."""
    return [order for row in rows if (order := orders.order_of(row, epoch))]
