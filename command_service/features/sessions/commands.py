"""What can be asked of a sign-in session and of a second factor, and the values it is asked with."""

from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Otp = Annotated[SecretStr, Field(min_length=1, max_length=64)]


class TokenForm(BaseModel):
    """The form of the token endpoint (RFC 6749, sections 4.3.2 and 6); fields that are not known are ignored."""

    model_config = ConfigDict(
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [
                {"grant_type": "password", "username": "ada@example.com", "password": "winter-otter-plays-chess"},
            ]
        },
    )

    grant_type: str
    username: str = Field(default="", description="The e-mail address; for the grant type `password`.")
    password: SecretStr = Field(default=SecretStr(""), description="For the grant type `password`.")
    otp: SecretStr = Field(
        default=SecretStr(""), description="A code of the authenticator app, or a recovery code, where one is needed."
    )
    new_password: SecretStr = Field(
        default=SecretStr(""),
        description="What the password is to be from now on, where `password` is the code of an operator for that.",
    )
    refresh_token: SecretStr = Field(default=SecretStr(""), description="For the grant type `refresh_token`.")


class RevocationForm(BaseModel):
    """The form of the revocation endpoint (RFC 7009, section 2.1)."""

    model_config = ConfigDict(
        frozen=True, hide_input_in_errors=True, json_schema_extra={"examples": [{"token": "tlr_AZfT..."}]}
    )

    token: SecretStr = Field(description="A refresh token or an access token; either ends its session.")
    token_type_hint: str = Field(default="", description="`refresh_token` or `access_token`; may be left out.")


class StepUpProof(BaseModel):
    """Proof for a step-up: a code where the account has a second factor, else the password."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"otp": "492039"}]}
    )

    otp: Otp | None = None
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)] | None = None


class TotpCode(BaseModel):
    """The first code of a new authenticator app."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"otp": "492039"}]}
    )

    otp: Otp


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, no finer than a person needs to recognise their own devices."""

    device: str | None = None
    network: str | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody's claim to be the user with this address, and what is to prove it."""

    email: str = field(repr=False)
    password: str = field(repr=False)
    otp: str = field(default="", repr=False)
    new_password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Refresh:
    """Somebody's claim to a session, by a refresh token."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartSession:
    """Begin a session for a user who has just proved who they are by `methods` (RFC 8176)."""

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
    slot: int = 0
    refresh_hash: str = field(default="", repr=False)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True)
class RefreshSession:
    """Exchange the refresh token with the hash `presented` for the one with the hash `successor`."""

    presented: str = field(repr=False)
    successor: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ElevateSession:
    """Note that the user has just proved again, by `methods`, who they are."""

    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndSession:
    """Let no token of a session count any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class EnrolTotp:
    """Give a user a new secret (Base32) for time-based codes."""

    user_id: UUID
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ActivateTotp:
    """Ask for codes from now on, because the first one shows that the secret arrived; `steps` as in UseOtp."""

    otp: str = field(repr=False)
    recovery_hashes: tuple[str, ...] = field(repr=False)
    steps: int = 2


@dataclass(frozen=True, slots=True)
class UseOtp:
    """Prove who one is by a time-based code or a recovery code.

    `steps` is for how many steps of 30 seconds a code counts: its own alone, or the one after it as well.
    """

    otp: str = field(repr=False)
    steps: int = 2


@dataclass(frozen=True, slots=True)
class RemoveTotp:
    """Ask for codes no more."""
