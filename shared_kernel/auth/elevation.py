"""Step-up (RFC 9470): what is too sensitive to rest on a sign-in of hours ago asks for fresh proof first."""

from datetime import datetime
from enum import Enum
from types import MappingProxyType

from shared_kernel.auth.principal import Principal
from shared_kernel.errors import TwinlogError

ELEVATED = "elevated"
"""The `acr` of an access token whose user has proved again who they are, at its `auth_time`."""
MAX_AGE = 300
"""For how many seconds that counts."""
CLOCK_GRAIN = 1
"""A token tells whole seconds, so the one of this very moment may seem to be of the next."""


class StepUpRequired(TwinlogError):
    """This needs fresh proof of who you are: send a code or your password to /v1/step-up and use the token you get."""

    status = 401
    headers = MappingProxyType(
        {
            "WWW-Authenticate": (
                'Bearer error="insufficient_user_authentication", '
                'error_description="A fresh proof of who you are is needed", '
                f'acr_values="{ELEVATED}", max_age="{MAX_AGE}"'
            )
        }
    )


class StepUp(Enum):
    """What a route counts as fresh proof, for five minutes: a sign-in or a step-up, or only a step-up."""

    RECENT = "recent"
    ALWAYS = "always"


def require_elevation(principal: Principal, step_up: StepUp, now: datetime) -> None:
    """Raises StepUpRequired unless the caller proved who they are within the last five minutes, in this session."""
    age = now.timestamp() - principal.auth_time
    proven = step_up is StepUp.RECENT or principal.acr == ELEVATED
    if not proven or not 0 <= age + CLOCK_GRAIN < MAX_AGE + CLOCK_GRAIN:
        raise StepUpRequired
