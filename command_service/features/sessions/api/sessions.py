"""The routes that end sessions."""

from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from command_service.features.sessions.handlers.sessions import SessionHandlers
from command_service.features.sessions.permissions import END
from command_service.infrastructure.answer import Accepted, changes
from command_service.infrastructure.call import ChangeConditions
from shared_kernel.auth.elevation import StepUp, StepUpRequired
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter(prefix="/v1/sessions")


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    sessions: SessionHandlers


async def handlers(request: Request) -> SessionHandlers:
    services: Services = request.app.state.services
    return services.sessions


Handlers = Annotated[SessionHandlers, Depends(handlers)]


@router.delete("/{session_id}", response_model=Accepted, responses=changes(StepUpRequired))
async def end_session(
    session_id: UUID,
    principal: Annotated[Principal, requires(END)],
    conditions: ChangeConditions,
    sessions: Handlers,
) -> Response:
    """End a session of yours (an administrator: of anybody in the tenant); its tokens count no more.

    Any other session than the one that asks needs a sign-in or a step-up of the last five minutes.
    """
    answer = await sessions.end(session_id, principal, conditions.by(principal))
    return answer.response()


@router.delete("", response_model=Accepted, responses=changes())
async def end_other_sessions(
    principal: Annotated[Principal, requires(END, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    sessions: Handlers,
) -> Response:
    """End all your sessions but this one. Repeating it does no harm, so no answer is kept under a key."""
    answer = await sessions.end_others(principal, conditions.by(principal))
    return answer.response()
