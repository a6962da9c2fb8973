"""The control loop: hears what operators ask, whatever the batches are doing, and carries it out.

What they ask is read from the log's feed alone: anybody may have written to Redis, so the stream of requests there only
says when to look. One process at a time carries requests out; the others stand by.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection
from redis.exceptions import RedisError

from query_service.infrastructure.feed import FeedUnavailable
from query_service.projector import generations, leases, orders
from query_service.projector.auditor import Auditor
from query_service.projector.decoding import Decoder
from query_service.projector.engine import Engine
from query_service.projector.execution import Act, Execution
from query_service.projector.orders import Order
from query_service.projector.parked_retry import retry_due
from query_service.projector.rebuilding import Rebuilding, Rested
from query_service.projector.shift import Tools
from query_service.projector.trouble import passing, said
from shared_kernel.background import end
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.operations import CATEGORY
from shared_kernel.messaging.backoff import Backoff, pause
from shared_kernel.messaging.operations import OPERATIONS_KEY
from shared_kernel.observability import get_logger

TICK = 0.25
STAND_BY = 1.0
RETRY_AFTER = 5.0
"""Seconds until parked events are tried again when what that needs, such as the vault, was away."""

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
        self._retry_at = 0.0
        self._retry_waits = ""
        self._backoff = Backoff(tools.stop)
        self._building: asyncio.Task[None] | None = None
        self._auditing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Stores may go and come back, and whatever else goes wrong is told and tried again: nobody stops listening."""
        while not self._tools.stop.is_set():
            try:
                async with leases.session(self._database_url) as session:
                    await self._stand_by(session)
                    await self._operate(session)
            except Exception as error:  # noqa: BLE001 - see above
                self._tools.status.report("operations", f"Operators are not heard just now: {said(error)}")
                self._ask_feed_at = 0.0  # it may have woken us for what was not entered then
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
            requests = await self._carry_out_all(session, execution)
            await self._build(rebuilding)
            retries = await self._retry(engine)
            self._tools.status.report("operations", requests or retries)
            self._backoff.reset()
            await pause(self._tools.stop, TICK)

    async def _carry_out_all(self, session: AsyncConnection[Any], execution: Execution) -> str:
        """What a request waits for that is away; what is asked of the same read model later waits behind it."""
        waiting: dict[str, str] = {}
        for order in await orders.waiting(session):
            if order.projection in waiting:
                continue
            if reason := await self._carry_out(session, order, execution.of(order)):
                waiting[order.projection] = reason
        return "; ".join(f"A request to {name} waits: {reason}" for name, reason in waiting.items())

    async def _carry_out(self, session: AsyncConnection[Any], order: Order, act: Act | None) -> str:
        """Nothing when the request is settled, else what it waits for."""
        state, outcome = "refused", "This release does not know this read model or this request."
        if act is not None:
            try:
                state, outcome = "done", await act()
            except Exception as error:  # noqa: BLE001 - however a request fails, it must not hold up all that follow
                if passing(error):
                    return said(error)
                outcome = said(error)
        await orders.settle(session, order, state, outcome)
        get_logger().info(
            "operator's request settled",
            action=order.action,
            projection=order.projection,
            position=order.position,
            state=state,
            outcome=outcome,
        )
        return ""

    async def _retry(self, engine: Engine) -> str:
        """What trying parked events again waits for, if that is away; asking for it takes time, so not at each tick."""
        if time.monotonic() >= self._retry_at:
            self._retry_waits = ""
            try:
                await retry_due(self._tools.pool, engine, self._projections)
            except Exception as error:
                if not passing(error):
                    raise
                self._retry_waits = f"Parked events wait to be tried again: {said(error)}"
                self._retry_at = time.monotonic() + RETRY_AFTER
        return self._retry_waits

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
