"""The routes of roles, and of who may register in a tenant; tenants are created from the command line."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from command_service.features.access.commands import (
    ChangeRegistration,
    GrantRole,
    InvitationDetails,
    RegistrationRule,
    Role,
    WithdrawRole,
)
from command_service.features.access.domain import MembershipIsNotWithdrawn
from command_service.features.access.handlers import AccessHandlers
from command_service.features.access.permissions import GRANT, INVITE, SET_REGISTRATION, UNINVITE, WITHDRAW
from command_service.infrastructure.answer import Accepted, changes
from command_service.infrastructure.call import ChangeConditions
from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter(prefix="/v1")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    access: AccessHandlers


async def handlers(request: Request) -> AccessHandlers:
    services: Services = request.app.state.services
    return services.access


Handlers = Annotated[AccessHandlers, Depends(handlers)]


class IssuedInvitation(Accepted):
    """A new invitation; its code is shown this once, and one person may register with it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55",
                    "version": 1,
                    "position": 4711,
                    "code": "ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ23-4567",
                    "expires_at": "2026-03-19T12:00:00Z",
                }
            ]
        }
    )

    code: str = Field(repr=False)
    expires_at: str


@router.put("/tenant/registration", response_model=Accepted, responses=changes())
async def set_registration(
    rule: RegistrationRule,
    principal: Annotated[Principal, requires(SET_REGISTRATION, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Say whether those who register in your tenant need an invitation."""
    answer = await access.change_registration(ChangeRegistration(rule.invitation_only), conditions.by(principal))
    return answer.response()


@router.post("/invitations", response_model=IssuedInvitation, responses=changes())
async def issue_invitation(
    details: InvitationDetails,
    principal: Annotated[Principal, requires(INVITE)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Make a code with which one person may register in your tenant; hand it over on a way that you trust."""
    answer = await access.invite(details, conditions.by(principal))
    return answer.response()


@router.delete("/invitations/{invitation_id}", response_model=Accepted, responses=changes())
async def withdraw_invitation(
    invitation_id: UUID,
    principal: Annotated[Principal, requires(UNINVITE)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Let the code of an invitation count no more; whoever has registered with it stays."""
    answer = await access.uninvite(invitation_id, conditions.by(principal))
    return answer.response()


@router.put("/users/{user_id}/roles/{role}", response_model=Accepted, responses=changes())
async def grant_role(
    user_id: UUID,
    role: Role,
    principal: Annotated[Principal, requires(GRANT, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Let a user hold a role; it is in the access tokens of their next sign-ins and refreshes."""
    answer = await access.grant(GrantRole(user_id, role), conditions.by(principal))
    return answer.response()


@router.delete("/users/{user_id}/roles/{role}", response_model=Accepted, responses=changes(MembershipIsNotWithdrawn))
async def withdraw_role(
    user_id: UUID,
    role: Role,
    principal: Annotated[Principal, requires(WITHDRAW, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    access: Handlers,
) -> Response:
    """Take a role from a user; within a second their access tokens are refused until they are refreshed."""
    answer = await access.withdraw(WithdrawRole(user_id, role), conditions.by(principal))
    return answer.response()
