"""What a resource looks like to a reader, and the table it is read from."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.projection import Table

RESOURCES = Table(
    name="resources",
    key=("tenant", "id"),
    columns={
        "tenant": "text",
        "id": "uuid",
        "version": "bigint",
        "created_position": "bigint",
        "name": "text",
        "description": "text",
        "classification": "text",
        "attributes": "jsonb",
        "tags": "jsonb",
        "owner": "uuid",
        "state": "text",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
    },
)

EXAMPLE: JsonDict = {
    "id": "0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c11",
    "version": 2,
    "name": "orjson",
    "description": "Fast, correct JSON library",
    "classification": "internal",
    "attributes": {"version": "3.13.0", "licence": "MIT"},
    "tags": ["json", "runtime"],
    "owner": "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02",
    "state": "active",
    "created_at": "2026-03-12T09:30:00.000000Z",
    "updated_at": "2026-03-12T09:41:12.250000Z",
}


class ResourceView(BaseModel):
    """The full representation of one resource; `version` is the one its ETag and `If-Match` speak of."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    version: int
    name: str
    description: str
    classification: Annotated[str, Field(description="public, internal, confidential or restricted")]
    attributes: dict[str, Any]
    tags: tuple[str, ...]
    owner: UUID
    state: Annotated[str, Field(description="active or archived")]
    created_at: datetime
    updated_at: datetime


class ResourceList(BaseModel):
    """One page of resources in the order in which they were made."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[ResourceView, ...]
