"""Events of a sign-in session; stream `sessions-<session_id>`."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared_kernel.events.contract import Event


class SessionStarted(Event):
    """A user signed in; `methods` are RFC 8176 authentication method references such as `pwd`."""

    TOPIC: ClassVar[str] = "sessions.SessionStarted.v1"

    session_id: UUID
    user_id: UUID
    methods: tuple[str, ...]
    expires_at: datetime
