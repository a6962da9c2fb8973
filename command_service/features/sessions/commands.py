"""What can be asked of a sign-in session, and the values it is asked with."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody's claim to be the user with this address, and the password that is to prove it."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartSession:
    """Begin a session for a user who has just proved who they are by `methods` (RFC 8176)."""

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
