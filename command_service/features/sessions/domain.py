"""The rules of a sign-in session, and the refusals of the token endpoint (RFC 6749, section 5.2)."""

from datetime import datetime, timedelta
from typing import ClassVar

from command_service.features.sessions.commands import StartSession
from shared_kernel.errors import TwinlogError
from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import SessionStarted

LIFETIME = timedelta(hours=12)
"""How long a session lasts at most, whatever its user does."""


class TokenRefusal(TwinlogError):
    """No token is issued for this request."""

    status = 400
    oauth_error: ClassVar[str]


class InvalidRequest(TokenRefusal):
    """The form lacks a field or repeats one."""

    oauth_error = "invalid_request"


class UnsupportedGrantType(TokenRefusal):
    """The only grant type known here is password."""

    oauth_error = "unsupported_grant_type"


class InvalidGrant(TokenRefusal):
    """The address and the password do not belong together."""

    oauth_error = "invalid_grant"


def start_session(nothing: None, command: StartSession, now: datetime) -> tuple[Event, ...]:
    return (
        SessionStarted(
            session_id=command.session_id,
            user_id=command.user_id,
            methods=command.methods,
            expires_at=now + LIFETIME,
        ),
    )
