"""Takes a request straight to its route: the edge has found it, so the router need not try one route after another."""

from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from shared_kernel.web.arrival import MANNERS_KEY
from shared_kernel.web.routes import Manners


class StraightToRoute:
    """Stands before a router; the cost does not grow with the number of routes. Anything unusual asks the router.

    A route with a plan is carried out by it, every other one by FastAPI, with the exit stack it keeps files in.
    """

    def __init__(self, router: ASGIApp) -> None:
        self._router = AsyncExitStackMiddleware(router)
        self._route = AsyncExitStackMiddleware(_by_its_route)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manners: Manners | None = scope.get(MANNERS_KEY)
        if manners is None or manners.route is None:
            return await self._router(scope, receive, send)
        if manners.plan is not None:
            return await manners.plan(scope, receive, send)
        return await self._route(scope, receive, send)


async def _by_its_route(scope: Scope, receive: Receive, send: Send) -> None:
    route: BaseRoute = scope[MANNERS_KEY].route
    _, child_scope = route.matches(scope)
    scope.update(child_scope)
    await route.handle(scope, receive, send)
