"""The routes of roles; tenants are created from the command line."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from command_service.features.access.commands import GrantRole, Role, WithdrawRole
from command_service.features.access.domain import MembershipIsNotWithdrawn
from command_service.features.access.handlers import AccessHandlers
from command_service.features.access.permissions import GRANT, WITHDRAW
from command_service.infrastructure.answer import Accepted, changes
from command_service.infrastructure.call import ChangeConditions
from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter(prefix="/v1/users")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    access: AccessHandlers


async def handlers(request: Request) -> AccessHandlers:
    services: Services = request.app.state.services
    return services.access


Handlers = Annotated[AccessHandlers, Depends(handlers)]


@router.put("/{user_id}/roles/{role}", response_model=Accepted, responses=changes())
async def grant_role(
    user_id: UUID,
    role: Role,
    principal: Annotated[Principal, requires(GRANT, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Let a user hold a role; it is in the access tokens of their next sign-ins."""
    answer = await access.grant(GrantRole(user_id, role), conditions.by(principal))
    return answer.response()


@router.delete("/{user_id}/roles/{role}", response_model=Accepted, responses=changes(MembershipIsNotWithdrawn))
async def withdraw_role(
    user_id: UUID,
    role: Role,
    principal: Annotated[Principal, requires(WITHDRAW, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Take a role from a user."""
    answer = await access.withdraw(WithdrawRole(user_id, role), conditions.by(principal))
    return answer.response()
