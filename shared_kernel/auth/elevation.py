"""Step-up (RFC 9470): what is too sensitive to rest on a sign-in of hours ago asks for fresh proof first."""

from datetime import datetime
from types import MappingProxyType

from shared_kernel.auth.principal import Principal
from shared_kernel.errors import TwinlogError

ELEVATED = "elevated"
"""The `acr` of an access token whose user has proved again who they are, at its `auth_time`."""
MAX_AGE = 300
"""For how many seconds that counts."""


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


def require_elevation(principal: Principal, now: datetime) -> None:
    """Raises StepUpRequired unless the caller proved who they are within the last five minutes, in this session."""
    age = now.timestamp() - principal.auth_time
    if principal.acr != ELEVATED or not 0 <= age < MAX_AGE:
        raise StepUpRequired
