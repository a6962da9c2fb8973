"""Events of a user account; stream `users-<user_id>`, and `alerts-<user_id>` for what its user should hear of."""

from datetime import datetime
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


class PasswordChanged(Event):
    """The user proves who they are by another password from now on."""

    TOPIC: ClassVar[str] = "accounts.PasswordChanged.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    password_hash: Credential


class PasswordResetOffered(Event):
    """An operator gave out a code with which the user may choose another password, once, until it expires.

    `code_hash` is its SHA-256, hexadecimal.
    """

    TOPIC: ClassVar[str] = "accounts.PasswordResetOffered.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    code_hash: Credential
    expires_at: datetime


class ProfileChanged(Event):
    """The user goes by another name."""

    TOPIC: ClassVar[str] = "accounts.ProfileChanged.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    name: Personal


class UserSuspended(Event):
    """An administrator lets the user in no more; `reason` is what administrators are to know about it."""

    TOPIC: ClassVar[str] = "accounts.UserSuspended.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    reason: Personal


class UserReinstated(Event):
    """The user is let in again."""

    TOPIC: ClassVar[str] = "accounts.UserReinstated.v1"

    user_id: UUID


class SignInsThrottled(Event):
    """So many attempts to sign in as this user failed that further ones were refused unseen for a while.

    Told at most once an hour; stream `alerts-<user_id>`.
    """

    TOPIC: ClassVar[str] = "accounts.SignInsThrottled.v1"

    user_id: UUID
    throttled_at: datetime
