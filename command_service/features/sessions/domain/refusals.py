"""The refusals of the token endpoint (RFC 6749, section 5.2), and who a form says is asking."""

from typing import ClassVar

from command_service.features.sessions.commands import Refresh, SignIn, TokenForm
from shared_kernel.errors import TwinlogError


class TokenRefusal(TwinlogError):
    """No token is issued for this request."""

    status = 400
    oauth_error: ClassVar[str]


class InvalidRequest(TokenRefusal):
    """The form lacks a field or repeats one."""

    oauth_error = "invalid_request"


class UnsupportedGrantType(TokenRefusal):
    """The grant types known here are password and refresh_token."""

    oauth_error = "unsupported_grant_type"


class InvalidGrant(TokenRefusal):
    """The address and the password do not belong together."""

    oauth_error = "invalid_grant"


class SecondFactorNeeded(InvalidGrant):
    """This account needs a code of its authenticator app, or a recovery code, as well: send it as otp."""


class CodeNotAccepted(InvalidGrant):
    """The code is not right, has been used, or too many wrong ones came before it; wait for the next one."""


class SessionOver(InvalidGrant):
    """The refresh token belongs to no session that goes on; sign in again."""


class RefreshTokenReused(SessionOver):
    """The refresh token was exchanged before, so its session has been ended; sign in again."""

    def __init__(self) -> None:
        super().__init__(SessionOver().detail)  # whoever holds a stolen token need not know that it was noticed


class StepUpRefused(TwinlogError):
    """The proof was not accepted; a code counts once, and an account with a second factor takes codes alone."""

    status = 403


def grant_of(form: TokenForm) -> SignIn | Refresh:
    """What the form asks for. A field without a value counts as missing (RFC 6749, section 3.2)."""
    match form.grant_type:
        case "password":
            return _sign_in(form)
        case "refresh_token":
            return Refresh(_given(form.refresh_token.get_secret_value()))
        case "":
            raise InvalidRequest
    raise UnsupportedGrantType


def _sign_in(form: TokenForm) -> SignIn:
    password = _given(form.password.get_secret_value())
    return SignIn(_given(form.username), password, form.otp.get_secret_value(), form.new_password.get_secret_value())


def _given(value: str) -> str:
    if not value:
        raise InvalidRequest
    return value
