"""The routes of accounts."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request, Response

from command_service.features.accounts.commands import Registration
from command_service.features.accounts.domain import EmailAlreadyRegistered
from command_service.features.accounts.handlers import AccountHandlers
from command_service.infrastructure.answer import Accepted, creates
from command_service.infrastructure.call import DEFAULT_TENANT, CreationConditions, TenantHeader
from shared_kernel.auth.passwords import WeakPassword
from shared_kernel.errors import NotFound
from shared_kernel.web.access import public

router = APIRouter(prefix="/v1/users")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    accounts: AccountHandlers


async def handlers(request: Request) -> AccountHandlers:
    services: Services = request.app.state.services
    return services.accounts


Handlers = Annotated[AccountHandlers, Depends(handlers)]


@router.post(
    "",
    status_code=201,
    response_model=Accepted,
    responses=creates(NotFound, EmailAlreadyRegistered, WeakPassword),
    dependencies=[public()],
)
async def register_user(
    registration: Registration,
    conditions: CreationConditions,
    accounts: Handlers,
    tenant: TenantHeader = DEFAULT_TENANT,
) -> Response:
    """Open an account in a tenant; sign in with it at `/v1/token`."""
    answer = await accounts.register(registration, conditions.by_anybody(tenant))
    return answer.response()
