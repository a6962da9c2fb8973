"""The routes to access tokens and from them, whose forms and errors are those of RFC 6749 and RFC 7009."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Form, Header, Request, Response

from command_service.features.sessions.commands import Origin, RevocationForm, StepUpProof, TokenForm
from command_service.features.sessions.domain.refusals import StepUpRefused
from command_service.features.sessions.handlers.ports import AccessToken, Token
from command_service.features.sessions.handlers.tokens import TokenHandlers
from command_service.features.sessions.permissions import STEP_UP
from command_service.infrastructure.call import DEFAULT_TENANT, TenantHeader
from command_service.infrastructure.origin import device_of, network_of
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import public, requires
from shared_kernel.web.problems import problem_responses

router = APIRouter()

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""For answers with tokens (RFC 6749, section 5.1)."""


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    tokens: TokenHandlers


async def handlers(request: Request) -> TokenHandlers:
    services: Services = request.app.state.services
    return services.tokens


async def origin_of(
    request: Request, user_agent: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Origin:
    return Origin(device_of(user_agent), network_of(request.client.host if request.client else None))


Handlers = Annotated[TokenHandlers, Depends(handlers)]


@router.post("/v1/token", dependencies=[public()])
async def issue_token(
    form: Annotated[TokenForm, Form()],
    tokens: Handlers,
    origin: Annotated[Origin, Depends(origin_of)],
    response: Response,
    tenant: TenantHeader = DEFAULT_TENANT,
) -> Token:
    """Sign in with address and password, or go on with a refresh token, which is exchanged for a new one."""
    response.headers.update(NO_STORE)
    return await tokens.issue_token(form, tenant, origin)


@router.post(
    "/v1/token/revoke",
    dependencies=[public()],
    responses={200: {"description": "The token does not count (any more).", "content": {}}},
    response_class=Response,
)
async def revoke_token(form: Annotated[RevocationForm, Form()], tokens: Handlers) -> Response:
    """Sign out with a token (RFC 7009): its whole session ends; a token that is none is answered alike."""
    await tokens.revoke(form.token.get_secret_value())
    return Response(status_code=200, headers=NO_STORE)


@router.post("/v1/step-up", responses=problem_responses(StepUpRefused))
async def step_up(
    proof: StepUpProof, principal: Annotated[Principal, requires(STEP_UP)], tokens: Handlers, response: Response
) -> AccessToken:
    """Prove again who you are, for an access token that opens what is too sensitive for an older sign-in."""
    response.headers.update(NO_STORE)
    return await tokens.step_up(proof, principal)
