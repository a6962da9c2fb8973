"""What these handlers need of others, and the answer of the token endpoint."""

from typing import Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Credentials(Protocol):
    """Whoever can tell a right password from a wrong one, and whom to let in."""

    async def user_with(
        self, tenant: str, email: str, password: str, network: str | None, *, new_password: str
    ) -> tuple[UUID, str] | None:
        """The user's id, and a mark of what was shown, for `still_counts`.

        With `new_password`, `password` is the code of a reset, which `redeem` then uses up.
        """
        ...

    async def redeem(self, tenant: str, user_id: UUID, code: str, new_password: str) -> str | None:
        """Let another password count from now on; the mark of it, or None when the code counts no more."""
        ...

    async def has_password(self, tenant: str, user_id: UUID, password: str) -> bool: ...

    async def still_counts(self, tenant: str, user_id: UUID, mark: str) -> bool:
        """Whether nobody has suspended the user or changed the password since it was shown."""
        ...

    async def is_let_in(self, tenant: str, user_id: UUID) -> bool:
        """Whether nobody has suspended the user."""
        ...


class CodeAttempts(Protocol):
    """Whoever counts attempts at a second factor, so that guessing is slow for every process together."""

    async def count_code(self, tenant: str, user_id: UUID) -> None:
        """Raises RateLimited, or ServiceUnavailable when they cannot be counted."""
        ...


class RoleBook(Protocol):
    """Whoever knows the roles of a user."""

    async def roles_of(self, tenant: str, user_id: UUID, *, two_factors: bool) -> tuple[tuple[str, ...], int]:
        """The roles as they are now, and the version of the user's bindings."""
        ...


class AccountNames(Protocol):
    """Whoever knows how a user is called; an authenticator app shows it."""

    async def email_of(self, tenant: str, user_id: UUID) -> str: ...


class DenialNews(Protocol):
    """Whoever lets all processes know that a session has ended."""

    async def announce(self) -> None: ...


class AccessToken(BaseModel):
    """An access token (RFC 6749, section 5.1); `expires_in` is in seconds."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"access_token": "eyJhbGciOi...", "token_type": "Bearer", "expires_in": 300}]}
    )

    access_token: str = Field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - the scheme of RFC 6750
    expires_in: int


class Token(AccessToken):
    """A successful answer of the token endpoint; the refresh token can be exchanged once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": "eyJhbGciOi...",
                    "token_type": "Bearer",
                    "expires_in": 600,
                    "refresh_token": "tlr_AZfT...",
                }
            ]
        }
    )

    refresh_token: str = Field(repr=False)
