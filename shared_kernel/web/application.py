"""Assembles an application out of features: routes, manners, problems, documentation and probes in one place."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from copy import copy
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp, Receive, Scope, Send

from shared_kernel.feature import Feature
from shared_kernel.observability import Metrics
from shared_kernel.web.answers import Answers
from shared_kernel.web.browsers import BrowserRules
from shared_kernel.web.dispatch import StraightToRoute
from shared_kernel.web.documentation import documentation_routes
from shared_kernel.web.edge import Edge
from shared_kernel.web.openapi import document
from shared_kernel.web.probes import probe_routes
from shared_kernel.web.proxies import TrustedProxies
from shared_kernel.web.routes import refuse_undeclared_routes
from shared_kernel.web.translation import Catalogue, Translations

MAX_BODY_BYTES = 1_048_576

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own would keep what requests held; what we tell operators stands in `shared_kernel.observability`."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Application(FastAPI):
    """FastAPI whose edge answers every error, and whose OpenAPI document says everything the wire contract says."""

    edge: Callable[[ASGIApp], Edge]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self.middleware_stack is None or self.root_path:
            return await super().__call__(scope, receive, send)
        scope["app"] = self
        return await self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        # FastAPI's own layers answer errors and bound bodies, which the edge does; without them a request costs less.
        app: ASGIApp = StraightToRoute(self.router)
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        return self.edge(app)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = document(self)
        return self.openapi_schema


def create_application(
    *,
    service: str,
    title: str,
    features: Sequence[Feature],
    services: Any,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
    max_body_bytes: int = MAX_BODY_BYTES,
    description: str = "",
    metrics: Metrics | None = None,
    scrape_token: str | None = None,
    translations: Iterable[Translations] = (),
    proxies: TrustedProxies | None = None,
    browsers: BrowserRules | None = None,
) -> FastAPI:
    """The application of one service, with `services` at `app.state.services` and metrics at `app.state.metrics`.

    `metrics` defaults to `services.metrics` if there is one, else to fresh ones of `service`. `scrape_token` lets a
    scraper that is not on loopback read `/metrics`. Raises StartupRefused when a route does not name exactly one
    permission or say that it is public.
    """
    app = _bare(title, services, lifespan, description)
    for feature in features:
        for router in feature.routers:
            _mount(app, router, feature.name)
    for router in routers:
        _mount(app, router, service)
    catalogue = Catalogue((*(feature.translations for feature in features), *translations))
    app.router.routes.extend(documentation_routes(app, catalogue))
    return _finished(
        app,
        service=service,
        catalogue=catalogue,
        max_body_bytes=max_body_bytes,
        metrics=metrics,
        scrape_token=scrape_token,
        proxies=proxies,
        browsers=browsers,
    )


def probe_application(
    service: str, services: Any, *, metrics: Metrics | None = None, scrape_token: str | None = None
) -> FastAPI:
    """Health, readiness and metrics of a process that has no API."""
    app = _bare(service, services, None, "")
    return _finished(
        app,
        service=service,
        catalogue=Catalogue(),
        max_body_bytes=MAX_BODY_BYTES,
        metrics=metrics,
        scrape_token=scrape_token,
    )


def _bare(title: str, services: Any, lifespan: Lifespan | None, description: str) -> Application:
    app = Application(
        title=title,
        version=version("twinlog"),
        description=description,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
    )
    app.state.services = services
    return app


def _finished(
    app: Application,
    *,
    service: str,
    catalogue: Catalogue,
    max_body_bytes: int,
    metrics: Metrics | None,
    scrape_token: str | None,
    proxies: TrustedProxies | None = None,
    browsers: BrowserRules | None = None,
) -> FastAPI:
    measured = metrics or getattr(app.state.services, "metrics", None) or Metrics(service)
    app.state.metrics = measured
    app.router.routes.extend(probe_routes(app.state.services, measured, scrape_token))
    app.edge = partial(
        Edge,
        owner=app,
        answers=Answers(catalogue),
        metrics=measured,
        max_body_bytes=max_body_bytes,
        proxies=proxies,
        browsers=browsers,
    )
    refuse_undeclared_routes(app)
    return app


def _mount(app: FastAPI, router: APIRouter, tag: str) -> None:
    # Not include_router: each included router is matched twice per request, and route by route.
    for route in router.routes:
        mounted = copy(route)
        if isinstance(mounted, APIRoute) and not mounted.tags:
            mounted.tags = [tag]
        app.router.routes.append(mounted)


def _operation_id(route: APIRoute) -> str:
    return route.name
