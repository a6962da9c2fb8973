"""The rules of a user account."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from command_service.features.accounts.commands import RegisterUser
from shared_kernel.errors import ImpossibleHistory, Refusal
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import Event


@dataclass(frozen=True, slots=True)
class User:
    """An account as its events have made it."""

    user_id: UUID
    password_hash: str
    email: str = field(default="", compare=False, repr=False)
    """What an authenticator app shows; it decides nothing."""


class EmailAlreadyRegistered(Refusal):
    """Somebody has registered with this e-mail address; sign in, or use another one."""


def register_user(nothing: None, command: RegisterUser, now: datetime) -> tuple[Event, ...]:
    return (
        UserRegistered(
            user_id=command.user_id,
            email=command.email,
            name=command.name,
            password_hash=command.password_hash,
        ),
    )


def evolve(user: User | None, event: Event) -> User:
    """The user after one more event of their stream."""
    match user, event:
        case None, UserRegistered():
            return User(event.user_id, event.password_hash, event.email)
    raise ImpossibleHistory
