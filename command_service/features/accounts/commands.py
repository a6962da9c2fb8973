"""What can be asked of a user account, and the values it is asked with."""

from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints, WithJsonSchema

from shared_kernel.text import NAME_PATTERN, line, shown

_INSIDE = ".com"


def normal(address: str) -> str:
    """The address in its normal form. Raises ValueError unless it is one, be it only inside a company.

    Behind the added suffix, names such as `.local` or `.test` pass a check that is meant for senders of mail.
    """
    try:
        return validate_email(address + _INSIDE, check_deliverability=False).normalized.removesuffix(_INSIDE)
    except EmailNotValidError:
        raise ValueError("must be an e-mail address") from None


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=254),
    AfterValidator(normal),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(line),
    shown(NAME_PATTERN, 200, 1),
]
Password = Annotated[SecretStr, Field(min_length=1, max_length=128)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=500),
    AfterValidator(line),
    shown(NAME_PATTERN, 500, 1),
]


def _optional(schema: dict[str, Any]) -> None:
    """An absent member has no default that a caller could see."""
    del schema["default"]


class Registration(BaseModel):
    """What somebody tells about themselves to open an account. The password is at most 128 characters long.

    `invitation` is the code of an invitation, for tenants that let nobody register without one.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {"email": "ada@example.com", "password": "winter-otter-plays-chess", "name": "Ada Lovelace"},
            ]
        },
    )

    email: Email
    password: Password
    name: PersonName
    invitation: Annotated[SecretStr, Field(min_length=1, max_length=64)] = Field(
        default=SecretStr(""), json_schema_extra=_optional
    )


class PasswordChange(BaseModel):
    """The password that counts now, and the one that shall count from now on."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {"current_password": "winter-otter-plays-chess", "new_password": "summer-heron-reads-maps"},
            ]
        },
    )

    current_password: Password
    new_password: Password


class ProfilePatch(BaseModel):
    """A merge patch (RFC 7396) of what a user says about themselves; an absent member stays as it is."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"name": "Ada King"}]},
    )

    name: PersonName = Field(default="", json_schema_extra=_optional)


class Suspension(BaseModel):
    """Why a user is let in no more; administrators are shown it, the user is not."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"reason": "Left the company on 12 March"}]},
    )

    reason: Reason


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Open an account; the password is hashed before the domain hears of it."""

    user_id: UUID
    email: str
    name: str
    password_hash: str


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """Let `password_hash` count instead of `checked_hash`, which the current password was compared with."""

    checked_hash: str = field(repr=False)
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OfferPasswordReset:
    """Let whoever has the code of this hash choose another password."""

    code_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RedeemPasswordReset:
    """Let `password_hash` count from now on, because the code of `code_hash` was shown."""

    code_hash: str = field(repr=False)
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChangeProfile:
    """Go by another name; None leaves it as it is."""

    name: str | None


@dataclass(frozen=True, slots=True)
class SuspendUser:
    """Let a user in no more."""

    by: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class ReinstateUser:
    """Let a user in again."""


@dataclass(frozen=True, slots=True)
class TellOfThrottling:
    """Let a user know that so many attempts to sign in as them failed that further ones were refused."""

    user_id: UUID
