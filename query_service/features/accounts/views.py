"""What an account looks like to a reader, and the table it is read from."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
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
        "state": "text",
        "suspended_at": "timestamptz",
        "suspension_reason": "text",
    },
    personal=("email", "name", "suspension_reason"),
    subject="id",
)

EXAMPLE: JsonDict = {
    "id": "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02",
    "version": 1,
    "email": "ada@example.org",
    "name": "Ada Lovelace",
    "state": "active",
    "created_at": "2026-03-12T09:12:44.125000Z",
    "updated_at": "2026-03-12T09:12:44.125000Z",
}
SUSPENDED: JsonDict = {
    **EXAMPLE,
    "version": 2,
    "state": "suspended",
    "suspended_at": "2026-03-12T17:00:00.000000Z",
    "suspension_reason": "Left the company on 12 March",
}
REDACTED = "[redacted]"


class AccountView(BaseModel):
    """What an account is for everybody who may see it; `email` and `name` read `[erased]` after an erasure."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    version: int
    email: str
    name: str
    state: Annotated[Literal["active", "suspended"], Field(description="whoever is suspended is not let in")]
    created_at: datetime
    updated_at: datetime


class UserView(AccountView):
    """One account of a tenant. Why its user is suspended is for those who may know it, and `[redacted]` for others."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [SUSPENDED]})

    suspended_at: datetime | None
    suspension_reason: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any], *, reason: bool) -> "UserView":
        """With `reason` for those who may know it."""
        hidden = {} if reason or row["suspension_reason"] is None else {"suspension_reason": REDACTED}
        return cls(**{**row, **hidden})


class MeView(AccountView):
    """The caller's own account, with the tenant and the roles that the access token carries."""

    model_config = ConfigDict(
        frozen=True, json_schema_extra={"examples": [{**EXAMPLE, "tenant": "default", "roles": ["member"]}]}
    )

    tenant: str
    roles: Annotated[tuple[str, ...], Field(description="as of the sign-in or refresh that issued this token")]


class UserList(BaseModel):
    """One page of accounts in the order in which they were registered."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [SUSPENDED]}]})

    items: tuple[UserView, ...]
