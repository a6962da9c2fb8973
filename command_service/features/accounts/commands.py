"""What can be asked of a user account, and the values it is asked with."""

from dataclasses import dataclass
from typing import Annotated
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


class Registration(BaseModel):
    """What somebody tells about themselves to open an account. The password is at most 128 characters long."""

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
    password: Annotated[SecretStr, Field(min_length=1, max_length=128)]
    name: PersonName


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """Open an account; the password is hashed before the domain hears of it."""

    user_id: UUID
    email: str
    name: str
    password_hash: str
