"""The routes for operators, and the one for their command line."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Path, Request, Response

from command_service.features.operations.commands import (
    Action,
    Justification,
    Operate,
    OperationRecord,
    ParkedRetry,
    ParkedSkip,
    RebuildAction,
    RebuildOrder,
)
from command_service.features.operations.domain import NoRebuildRequested
from command_service.features.operations.handlers import OperationHandlers
from command_service.features.operations.permissions import OPERATE
from command_service.infrastructure.answer import Accepted, changes
from command_service.infrastructure.call import DEFAULT_TENANT, Call, ChangeConditions
from command_service.infrastructure.feed import require_credential
from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import public, requires

router = APIRouter(prefix="/v1")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    operations: OperationHandlers


async def handlers(request: Request) -> OperationHandlers:
    services: Services = request.app.state.services
    return services.operations


Handlers = Annotated[OperationHandlers, Depends(handlers)]
Name = Annotated[str, Path(max_length=64, description="A read model; see GET /v1/projections of the query API.")]
Operator = Annotated[Principal, requires(OPERATE, step_up=StepUp.RECENT)]


async def _called(principal: Operator, conditions: ChangeConditions) -> Call:
    return conditions.by(principal)


Called = Annotated[Call, Depends(_called)]


@router.post("/projections/{name}/rebuild", response_model=Accepted, responses=changes())
async def rebuild_projection(
    name: Name, order: RebuildOrder, principal: Operator, conditions: ChangeConditions, operations: Handlers
) -> Response:
    """Build a read model anew from the log, beside the live one; the query API tells how it goes."""
    command = Operate(Action.REBUILD, name, order.reason, at_once=order.at_once)
    return (await operations.operate(command, conditions.by(principal))).response()


@router.post("/projections/{name}/parked/retry", response_model=Accepted, responses=changes())
async def retry_parked(
    name: Name, retry: ParkedRetry, principal: Operator, conditions: ChangeConditions, operations: Handlers
) -> Response:
    """Try the parked events of one stream of your tenant again, in order, with the code of today."""
    command = Operate(Action.RETRY, name, retry.reason, of_tenant=principal.tenant, stream=retry.stream)
    return (await operations.operate(command, conditions.by(principal))).response()


@router.post("/projections/{name}/parked/skip", response_model=Accepted, responses=changes())
async def skip_parked(
    name: Name, skip: ParkedSkip, principal: Operator, conditions: ChangeConditions, operations: Handlers
) -> Response:
    """Let a read model do without one parked event of your tenant; what waits behind it goes on."""
    command = Operate(
        Action.SKIP, name, skip.reason, of_tenant=principal.tenant, stream=skip.stream, position=skip.position
    )
    return (await operations.operate(command, conditions.by(principal))).response()


@router.post("/projections/{name}/{action}", response_model=Accepted, responses=changes(NoRebuildRequested))
async def operate_projection(
    name: Name, action: RebuildAction, why: Justification, called: Called, operations: Handlers
) -> Response:
    """Pause, resume or cancel a rebuild, approve the switch to what it made, or go back to what was live before."""
    command = Operate(Action(action.value), name, why.reason)
    return (await operations.operate(command, called)).response()


@router.post("/operations", dependencies=[public(), Depends(require_credential)], include_in_schema=False)
async def record_operation(record: OperationRecord, operations: Handlers) -> Response:
    """What was typed on the command line, for whoever holds the services' secret."""
    call = Call.of_system(DEFAULT_TENANT, "cli")
    return (await operations.operate(Operate(**dict(record)), call)).response()
