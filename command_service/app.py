"""The command API: every feature of this side, the feed and the keys under one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from command_service.bootstrap import Services
from command_service.features import FEATURES
from command_service.infrastructure import feed, keys, server_metadata
from shared_kernel.web.application import create_application
from shared_kernel.web.browsers import BrowserRules
from shared_kernel.web.proxies import TrustedProxies

DESCRIPTION = (
    "Says yes or no to commands and appends what happened to the log. Repeat a request safely with an "
    "`Idempotency-Key`; send the answer's `Consistency-Token` with a query to read what you have written."
)


def create_app(services: Services) -> FastAPI:
    """The application; its lifespan opens and closes the services. Raises StartupRefused for an undeclared route."""
    settings = services.settings
    return create_application(
        service="command",
        title="Twinlog command API",
        description=DESCRIPTION,
        features=FEATURES,
        services=services,
        routers=(keys.router, server_metadata.router, feed.router),
        lifespan=_lifespan,
        proxies=TrustedProxies.parse(settings.trusted_proxies, settings.forwarded_header),
        browsers=BrowserRules.of(settings.cors_origins),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    async with services.running():
        yield
