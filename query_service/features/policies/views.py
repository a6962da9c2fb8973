"""What a policy looks like to those who may see it, and the table it is read from."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.projection import Table

POLICIES = Table(
    name="policies",
    key=("tenant", "id"),
    columns={
        "tenant": "text",
        "id": "uuid",
        "version": "bigint",
        "created_position": "bigint",
        "changed_position": "bigint",
        "role": "text",
        "permission": "text",
        "condition": "text",
        "effect": "text",
        "added_by": "text",
        "added_at": "timestamptz",
        "removed_at": "timestamptz",
    },
)

EXAMPLE: JsonDict = {
    "id": "0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43",
    "version": 1,
    "role": "auditor",
    "permission": "resources:read",
    "condition": "restricted",
    "effect": "deny",
    "added_by": "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02",
    "added_at": "2026-03-12T09:13:02.500000Z",
}


class PolicyView(BaseModel):
    """One of the tenant's own policies; those that every tenant has are shipped with the services."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    version: int
    role: Annotated[str, Field(description="whom it concerns; `*` is every role")]
    permission: str
    condition: Annotated[str, Field(description="where it counts")]
    effect: Annotated[str, Field(description="`allow` or `deny`; deny wins")]
    added_by: Annotated[str, Field(description="the user who added it")]
    added_at: datetime


class PolicyList(BaseModel):
    """One page of the tenant's policies in the order in which they were added."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[PolicyView, ...]
