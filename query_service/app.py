"""The query API: every feature of this side under one application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from query_service.bootstrap import Services
from query_service.features import FEATURES
from query_service.infrastructure.german import GERMAN
from shared_kernel.web.application import create_application
from shared_kernel.web.browsers import BrowserRules
from shared_kernel.web.proxies import TrustedProxies

DESCRIPTION = (
    "Answers questions from read models that are projected from the log. Send the `Consistency-Token` of a command's "
    "answer along to read at least what that command has written."
)


def create_app(services: Services) -> FastAPI:
    """The application; its lifespan opens and closes the services. Raises StartupRefused for an undeclared route."""
    settings = services.settings
    return create_application(
        service="query",
        title="Twinlog query API",
        description=DESCRIPTION,
        features=FEATURES,
        services=services,
        lifespan=_lifespan,
        proxies=TrustedProxies.parse(settings.trusted_proxies, settings.forwarded_header),
        browsers=BrowserRules.of(settings.cors_origins),
        translations=({"de": GERMAN},),
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    async with services.running():
        yield
