"""The rules of a sign-in session, and the refusals of the token endpoint (RFC 6749, section 5.2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from command_service.features.sessions.commands import SignIn, StartSession, TokenForm
from shared_kernel.errors import ImpossibleHistory, TwinlogError
from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import SessionStarted

LIFETIME = timedelta(hours=12)
"""How long a session lasts at most, whatever its user does."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its events have made it."""

    user_id: UUID
    expires_at: datetime


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


def sign_in_with(form: TokenForm) -> SignIn:
    """Who the form says is signing in. A field without a value counts as missing (RFC 6749, section 3.2)."""
    if not form.grant_type:
        raise InvalidRequest
    if form.grant_type != "password":
        raise UnsupportedGrantType
    if not form.username or not form.password.get_secret_value():
        raise InvalidRequest
    return SignIn(form.username, form.password.get_secret_value())


def start_session(nothing: None, command: StartSession, now: datetime) -> tuple[Event, ...]:
    return (
        SessionStarted(
            session_id=command.session_id,
            user_id=command.user_id,
            methods=command.methods,
            expires_at=now + LIFETIME,
        ),
    )


def evolve(session: Session | None, event: Event) -> Session:
    """The session after one more event of its stream."""
    match session, event:
        case None, SessionStarted():
            return Session(event.user_id, event.expires_at)
    raise ImpossibleHistory
