"""What a sign-in session looks like to its owner, and the table it is read from."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.projection import Table

SESSIONS = Table(
    name="sessions",
    key=("tenant", "id"),
    columns={
        "tenant": "text",
        "id": "uuid",
        "version": "bigint",
        "created_position": "bigint",
        "user_id": "uuid",
        "methods": "jsonb",
        "created_at": "timestamptz",
        "expires_at": "timestamptz",
        "used_at": "timestamptz",
        "device": "text",
        "network": "text",
        "ended_at": "timestamptz",
        "end_reason": "text",
    },
    personal=("device", "network"),
    subject="user_id",
)

EXAMPLE: JsonDict = {
    "id": "0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43",
    "methods": ["pwd"],
    "created_at": "2026-03-12T09:13:02.500000Z",
    "expires_at": "2026-03-12T21:13:02.500000Z",
    "used_at": "2026-03-12T09:43:02.500000Z",
    "device": "Firefox on Linux",
    "network": "203.0.113.0/24",
    "current": True,
}


class SessionView(BaseModel):
    """One of the caller's sign-ins."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    methods: Annotated[tuple[str, ...], Field(description="RFC 8176 authentication method references")]
    created_at: datetime
    expires_at: datetime
    used_at: Annotated[datetime, Field(description="when it last brought a token; half an hour later it is over")]
    device: Annotated[str | None, Field(description="the kind of program that signed in")]
    network: Annotated[str | None, Field(description="the network that it signed in from")]
    current: Annotated[bool, Field(description="whether the access token of this request belongs to it")]


class SessionList(BaseModel):
    """One page of the caller's sessions in the order in which they were started."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[SessionView, ...]
