"""The routes of a tenant's policies."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from command_service.features.policies.commands import Rule
from command_service.features.policies.domain import (
    AdministratorsLockedOut,
    ConditionNeverHolds,
    PolicyAlreadyExists,
    TooManyPolicies,
)
from command_service.features.policies.handlers import PolicyHandlers
from command_service.features.policies.permissions import ADD, REMOVE
from command_service.infrastructure.answer import Accepted, changes, creates
from command_service.infrastructure.call import ChangeConditions, CreationConditions
from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter(prefix="/v1/policies")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    policies: PolicyHandlers


async def handlers(request: Request) -> PolicyHandlers:
    services: Services = request.app.state.services
    return services.policies


Handlers = Annotated[PolicyHandlers, Depends(handlers)]


@router.post(
    "",
    status_code=201,
    response_model=Accepted,
    responses=creates(PolicyAlreadyExists, TooManyPolicies, ConditionNeverHolds, AdministratorsLockedOut),
)
async def add_policy(
    rule: Rule,
    principal: Annotated[Principal, requires(ADD, step_up=StepUp.RECENT)],
    conditions: CreationConditions,
    policies: Handlers,
) -> Response:
    """Let a rule count in your tenant; within a second every process of both services decides by it."""
    answer = await policies.add(rule, conditions.by(principal))
    return answer.response()


@router.delete("/{policy_id}", response_model=Accepted, responses=changes())
async def remove_policy(
    policy_id: UUID,
    principal: Annotated[Principal, requires(REMOVE, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    policies: Handlers,
) -> Response:
    """Let a rule count no more."""
    answer = await policies.remove(policy_id, conditions.by(principal))
    return answer.response()
