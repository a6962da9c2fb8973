"""What an account looks like to a reader, and the table it is read from."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.projection import Table

USERS = Table(
    name="users",
    key=("tenant", "id"),
    columns={
        "tenant": "text",
        "id": "uuid",
        "version": "bigint",
        "created_position": "bigint",
        "email": "text",
        "name": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
    },
    personal=("email", "name"),
    subject="id",
)

EXAMPLE: JsonDict = {
    "id": "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02",
    "version": 1,
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "created_at": "2026-03-12T09:12:44.125000Z",
    "updated_at": "2026-03-12T09:12:44.125000Z",
}


class UserView(BaseModel):
    """One account of a tenant; `email` and `name` read `[erased]` once the person has been erased."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    version: int
    email: str
    name: str
    created_at: datetime
    updated_at: datetime


class MeView(UserView):
    """The caller's own account, with the tenant and the roles that the access token carries."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{**EXAMPLE, "tenant": "default", "roles": ["member"]}]}
    )

    tenant: str
    roles: Annotated[tuple[str, ...], Field(description="as of the sign-in that issued this token")]


class UserList(BaseModel):
    """One page of accounts in the order in which they were registered."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[UserView, ...]
