"""What each request of an operator means for the read models."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from query_service.infrastructure.projection import Projection
from query_service.projector import parked_retry, rebuilding
from query_service.projector.engine import Engine
from query_service.projector.orders import Order
from query_service.projector.parked_retry import Retried
from query_service.projector.shift import Tools
from query_service.projector.switch import roll_back, switch

Act = Callable[[], Awaitable[str]]


class Execution:
    """Each act answers in a sentence what it came to, or raises a Refusal."""

    def __init__(self, tools: Tools, engine: Engine) -> None:
        self._tools = tools
        self._engine = engine
        self._projections = {projection.name: projection for projection in tools.projections}
        self._acts: Mapping[str, Callable[[Order, Projection], Awaitable[str]]] = {
            "rebuild": self._rebuild,
            "pause": self._pause,
            "resume": self._resume,
            "cancel": self._cancel,
            "switch": self._switch,
            "rollback": self._roll_back,
            "retry": self._retry,
            "skip": self._skip,
        }

    def of(self, order: Order) -> Act | None:
        """The act for a request; None when this release does not know its projection or what it asks."""
        projection, act = self._projections.get(order.projection), self._acts.get(order.action)
        if projection is None or act is None:
            return None
        return lambda: act(order, projection)

    async def _rebuild(self, order: Order, projection: Projection) -> str:
        await rebuilding.start(self._tools, projection, at_once=bool(order.details.get("at_once")))
        return "The rebuild has begun."

    async def _pause(self, _: Order, projection: Projection) -> str:
        await rebuilding.pause(self._tools, projection.name)
        return "The rebuild rests."

    async def _resume(self, _: Order, projection: Projection) -> str:
        await rebuilding.resume(self._tools, projection.name)
        return "The rebuild goes on."

    async def _cancel(self, _: Order, projection: Projection) -> str:
        await rebuilding.cancel(self._tools, projection)
        return "The rebuild is forgotten."

    async def _switch(self, _: Order, projection: Projection) -> str:
        now = await switch(self._tools.pool, projection.name)
        await rebuilding.switched(self._tools, projection.name)
        return f"{now.generation} answers (version {now.version})."

    async def _roll_back(self, _: Order, projection: Projection) -> str:
        now = await roll_back(self._tools.pool, projection.name)
        return f"{now.generation} answers again (version {now.version})."

    async def _retry(self, order: Order, projection: Projection) -> str:
        stream = (order.details["of_tenant"], order.details["stream"])
        return told(await parked_retry.retry(self._tools.pool, self._engine, projection.name, stream))

    async def _skip(self, order: Order, projection: Projection) -> str:
        stream = (order.details["of_tenant"], order.details["stream"])
        position, reason = int(order.details["position"]), str(order.details["reason"])
        outcome = await parked_retry.skip(
            self._tools.pool, self._engine, projection.name, stream, position, reason=reason, actor=order.actor
        )
        return told(outcome)


def told(outcomes: Sequence[Retried]) -> str:
    """What trying again came to, in a sentence for each generation."""
    return " ".join(
        f"{each.generation}: {each.handled} handled, {each.parked} parked"
        + (f" from position {each.stopped_at} on ({each.reason})." if each.parked else ".")
        for each in outcomes
    )
