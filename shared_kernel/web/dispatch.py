"""Takes a request straight to its route: the edge has found it, so the router need not try one route after another."""

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

ROUTE_KEY = "twinlog.route"
"""Where in the scope the edge leaves the route that will answer."""


class StraightToRoute:
    """Stands before a router; the cost does not grow with the number of routes. Anything unusual asks the router."""

    def __init__(self, router: ASGIApp) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route: BaseRoute | None = scope.get(ROUTE_KEY)
        # With telemetry on, FastAPI's own router has to tell it the route.
        if route is None or "fastapi.telemetry" in scope:
            return await self._router(scope, receive, send)
        _, child_scope = route.matches(scope)
        scope.update(child_scope)
        return await route.handle(scope, receive, send)
