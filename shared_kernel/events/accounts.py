"""Events of a user account; stream `users-<user_id>`."""

from typing import ClassVar
from uuid import UUID

from shared_kernel.events.contract import Credential, Event, Personal


class UserRegistered(Event):
    """Somebody opened an account. The password hash is personal too, so erasure takes it along."""

    TOPIC: ClassVar[str] = "accounts.UserRegistered.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    email: Personal
    name: Personal
    password_hash: Credential
