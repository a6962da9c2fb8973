"""The route to an access token, whose form and errors are those of RFC 6749."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Form, Request

from command_service.features.sessions.commands import TokenForm
from command_service.features.sessions.handlers import SessionHandlers, Token
from command_service.infrastructure.call import DEFAULT_TENANT, TenantHeader
from shared_kernel.web.access import public

router = APIRouter(prefix="/v1/token")


class Services(Protocol):
    """What this route needs of the service it is mounted in."""

    sessions: SessionHandlers


async def handlers(request: Request) -> SessionHandlers:
    services: Services = request.app.state.services
    return services.sessions


Handlers = Annotated[SessionHandlers, Depends(handlers)]


@router.post("", dependencies=[public()])
async def issue_token(
    form: Annotated[TokenForm, Form()], sessions: Handlers, tenant: TenantHeader = DEFAULT_TENANT
) -> Token:
    """Sign in with address and password (the OAuth 2.0 password grant) for an access token."""
    return await sessions.issue_token(form, tenant)
