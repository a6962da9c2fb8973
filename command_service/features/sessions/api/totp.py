"""The routes of the second factor."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ConfigDict, Field

from command_service.features.sessions.commands import TotpCode
from command_service.features.sessions.domain.totp import (
    NoTotpToActivate,
    TooManyWrongCodes,
    TotpAlreadyActive,
    WrongCode,
)
from command_service.features.sessions.handlers.totp import TotpHandlers
from command_service.features.sessions.permissions import ACTIVATE_TOTP, ENROL_TOTP, REMOVE_TOTP
from command_service.infrastructure.answer import Accepted, changes
from command_service.infrastructure.call import ChangeConditions
from shared_kernel.auth.elevation import StepUp
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter(prefix="/v1/me/totp")

ID = "0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55"


class Services(Protocol):
    """What these routes need of the service they are mounted in."""

    totp: TotpHandlers


async def handlers(request: Request) -> TotpHandlers:
    services: Services = request.app.state.services
    return services.totp


Handlers = Annotated[TotpHandlers, Depends(handlers)]


class Enrolment(Accepted):
    """A new secret, in the three forms that authenticator apps take; it is shown this once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": ID,
                    "version": 1,
                    "position": 4711,
                    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                    "otpauth_uri": "otpauth://totp/Twinlog:ada%40example.com?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
                    "qr_svg": "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 53 53'></svg>",
                }
            ]
        }
    )

    secret: str = Field(repr=False)
    otpauth_uri: str = Field(repr=False)
    qr_svg: str = Field(repr=False)


class Activation(Accepted):
    """The second factor counts from now on; the recovery codes are shown this once, and each works once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": ID,
                    "version": 2,
                    "position": 4712,
                    "recovery_codes": ["ABCD-EFGH-JKLM-NPQR-STUV-WXYZ-2345-6723"],
                }
            ]
        }
    )

    recovery_codes: list[str] = Field(repr=False)


@router.post("", response_model=Enrolment, responses=changes(TotpAlreadyActive))
async def enrol_totp(
    principal: Annotated[Principal, requires(ENROL_TOTP, step_up=StepUp.RECENT)],
    conditions: ChangeConditions,
    totp: Handlers,
) -> Response:
    """Ask for a secret for an authenticator app; it counts once you send a first code."""
    answer = await totp.enrol(principal, conditions.by(principal))
    return answer.response()


@router.put("", response_model=Activation, responses=changes(NoTotpToActivate, WrongCode, TooManyWrongCodes))
async def activate_totp(
    code: TotpCode,
    principal: Annotated[Principal, requires(ACTIVATE_TOTP)],
    conditions: ChangeConditions,
    totp: Handlers,
) -> Response:
    """Let sign-in ask for codes from now on; your other sessions end."""
    answer = await totp.activate(code.otp.get_secret_value(), principal, conditions.by(principal))
    return answer.response()


@router.delete("", response_model=Accepted, responses=changes())
async def remove_totp(
    principal: Annotated[Principal, requires(REMOVE_TOTP, step_up=StepUp.ALWAYS)],
    conditions: ChangeConditions,
    totp: Handlers,
) -> Response:
    """Let sign-in ask for no code any more; your other sessions end."""
    answer = await totp.remove(principal, conditions.by(principal))
    return answer.response()
