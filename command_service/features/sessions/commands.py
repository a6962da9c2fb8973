"""What can be asked of a sign-in session, and the values it is asked with."""

from dataclasses import dataclass, field
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class TokenForm(BaseModel):
    """The form of the token endpoint (RFC 6749, section 4.3.2); fields that are not known are ignored."""

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


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody's claim to be the user with this address, and the password that is to prove it."""

    email: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartSession:
    """Begin a session for a user who has just proved who they are by `methods` (RFC 8176)."""

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
