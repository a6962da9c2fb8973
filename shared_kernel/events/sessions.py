"""Events of a sign-in session (stream `sessions-<session_id>`) and of a second factor (stream `totp-<user_id>`)."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared_kernel.events.contract import Credential, Event, Personal


class SessionStarted(Event):
    """A user signed in; `methods` are RFC 8176 authentication method references such as `pwd`.

    `refresh_hash` is the SHA-256 of the first refresh token. `device` and `network` are coarse on purpose: a kind of
    client and an address range. `slot` says which of the user's few places the session takes.
    """

    TOPIC: ClassVar[str] = "sessions.SessionStarted.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
    expires_at: datetime
    started_at: datetime | None = None
    slot: int | None = None
    refresh_hash: Credential | None = None
    device: Personal | None = None
    network: Personal | None = None


class SessionRefreshed(Event):
    """The session's refresh token was exchanged for its successor, whose SHA-256 is `refresh_hash`."""

    TOPIC: ClassVar[str] = "sessions.SessionRefreshed.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    session_id: UUID
    user_id: UUID
    refresh_hash: Credential
    refreshed_at: datetime


class SessionElevated(Event):
    """The user proved again who they are, for what is too sensitive to rest on an earlier sign-in."""

    TOPIC: ClassVar[str] = "sessions.SessionElevated.v1"

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
    elevated_at: datetime


class SessionEnded(Event):
    """Neither refresh nor access tokens of this session count any more; `reason` is one word or a few with hyphens."""

    TOPIC: ClassVar[str] = "sessions.SessionEnded.v1"

    session_id: UUID
    user_id: UUID
    reason: str
    ended_at: datetime


class TotpEnrolled(Event):
    """A user was given a secret for time-based codes; it counts once a first code has shown that it arrived."""

    TOPIC: ClassVar[str] = "sessions.TotpEnrolled.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    secret: Credential


class TotpActivated(Event):
    """From now on sign-in asks for a code. `recovery_hashes` are SHA-256, hexadecimal, with commas in between."""

    TOPIC: ClassVar[str] = "sessions.TotpActivated.v1"
    SUBJECT: ClassVar[str | None] = "user_id"

    user_id: UUID
    step: int
    recovery_hashes: Credential


class TotpCodeAccepted(Event):
    """The code of this time step was accepted; neither it nor an earlier one will be again."""

    TOPIC: ClassVar[str] = "sessions.TotpCodeAccepted.v1"

    user_id: UUID
    step: int


class TotpCodeRefused(Event):
    """Somebody who knew what comes before it offered a code that was not right."""

    TOPIC: ClassVar[str] = "sessions.TotpCodeRefused.v1"

    user_id: UUID
    refused_at: datetime


class RecoveryCodeUsed(Event):
    """The recovery code with this number (from 0) stood in for a time-based one; it is spent."""

    TOPIC: ClassVar[str] = "sessions.RecoveryCodeUsed.v1"

    user_id: UUID
    number: int


class TotpRemoved(Event):
    """Sign-in asks for no code any more."""

    TOPIC: ClassVar[str] = "sessions.TotpRemoved.v1"

    user_id: UUID
