"""The routes of accounts."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Request, Response

from command_service.features.accounts.commands import PasswordChange, ProfilePatch, Registration, Suspension
from command_service.features.accounts.domain import (
    EmailAlreadyRegistered,
    InvitationNeeded,
    InvitationNotAccepted,
    OwnAccountIsNotSuspended,
    WrongPassword,
)
from command_service.features.accounts.handlers.accounts import AccountHandlers
from command_service.features.accounts.permissions import CHANGE_PASSWORD, CHANGE_PROFILE, REINSTATE, SUSPEND
from command_service.infrastructure.answer import Accepted, changes, creates
from command_service.infrastructure.call import DEFAULT_TENANT, ChangeConditions, CreationConditions, TenantHeader
from shared_kernel.auth.passwords import WeakPassword
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound
from shared_kernel.web.access import public, requires
from shared_kernel.web.routes import MERGE_PATCH_TYPE

router = APIRouter(prefix="/v1")

REGISTRATION_COST = 100
"""A registration costs a password hash, and tells whether an address is registered: few are enough for a network."""


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    accounts: AccountHandlers


async def handlers(request: Request) -> AccountHandlers:
    services: Services = request.app.state.services
    return services.accounts


Handlers = Annotated[AccountHandlers, Depends(handlers)]


@router.post(
    "/users",
    status_code=201,
    response_model=Accepted,
    responses=creates(NotFound, EmailAlreadyRegistered, WeakPassword, InvitationNeeded, InvitationNotAccepted),
    dependencies=[public(cost=REGISTRATION_COST)],
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


@router.patch("/me", response_model=Accepted, responses=changes())
async def change_profile(
    patch: Annotated[ProfilePatch, Body(media_type=MERGE_PATCH_TYPE)],
    principal: Annotated[Principal, requires(CHANGE_PROFILE)],
    conditions: ChangeConditions,
    accounts: Handlers,
) -> Response:
    """Change what you say about yourself (JSON Merge Patch, RFC 7396)."""
    answer = await accounts.change_profile(patch, principal, conditions.by(principal))
    return answer.response()


@router.put("/me/password", response_model=Accepted, responses=changes(WrongPassword, WeakPassword))
async def change_password(
    change: PasswordChange,
    principal: Annotated[Principal, requires(CHANGE_PASSWORD)],
    conditions: ChangeConditions,
    accounts: Handlers,
) -> Response:
    """Prove who you are by another password from now on; your other sessions end."""
    answer = await accounts.change_password(change, principal, conditions.by(principal))
    return answer.response()


@router.put("/users/{user_id}/suspension", response_model=Accepted, responses=changes(OwnAccountIsNotSuspended))
async def suspend_user(
    user_id: UUID,
    suspension: Suspension,
    principal: Annotated[Principal, requires(SUSPEND)],
    conditions: ChangeConditions,
    accounts: Handlers,
) -> Response:
    """Let a user in no more; all their sessions end. They are told no more than somebody with a wrong password."""
    answer = await accounts.suspend(user_id, suspension.reason, principal, conditions.by(principal))
    return answer.response()


@router.delete("/users/{user_id}/suspension", response_model=Accepted, responses=changes())
async def reinstate_user(
    user_id: UUID,
    principal: Annotated[Principal, requires(REINSTATE)],
    conditions: ChangeConditions,
    accounts: Handlers,
) -> Response:
    """Let a user in again; they sign in anew."""
    answer = await accounts.reinstate(user_id, conditions.by(principal))
    return answer.response()
