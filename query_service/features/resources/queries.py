"""The questions about resources, in SQL."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from psycopg.rows import DictRow
from pydantic import Field

from query_service.infrastructure.audit_log import HISTORY
from query_service.infrastructure.database import Database, TenantRows
from query_service.infrastructure.listing import Listing, Part
from query_service.infrastructure.lookup import Lookup
from query_service.infrastructure.pagination import Page, PageQuery, Word
from query_service.infrastructure.progress import Progress

PROJECTION = "resources"

SHOWN = """
SELECT r.tenant, r.id, r.version, r.created_position, r.name, r.description, r.classification, r.attributes, r.tags,
       r.owner, r.state, r.created_at, r.updated_at
"""
BY_ID = Lookup(f"{SHOWN} FROM {{generation}}.resources r", key={"tenant": "r.tenant::text", "id": "r.id::uuid"})
LIST = Listing(
    select=f"{SHOWN} FROM {{generation}}.tenant_resources r",  # row level security would keep `tag` and `q` slow
    position="r.created_position",
    filters={
        "classification": "r.classification = %(classification)s",
        "state": "r.state = %(state)s",
        "owner": "r.owner = %(owner)s",
        "tag": "r.tags @> jsonb_build_array(%(tag)s::text)",
        "q": "lower(r.name) ^@ lower(%(q)s)",
    },
)
OF_STREAM = "a.tenant = %(tenant)s AND a.stream = %(stream)s"


class ResourceQuery(PageQuery):
    """Which resources to list; all filters must hold."""

    classification: Literal["public", "internal", "confidential", "restricted"] | None = None
    state: Literal["active", "archived"] | None = None
    owner: UUID | None = None
    tag: Word | None = None
    q: Annotated[Word | None, Field(description="the beginning of the name, upper or lower case")] = None
    sort: Annotated[Literal["created_at", "-created_at"], Field(description="`-` for the newest first")] = "created_at"


class HistoryQuery(PageQuery):
    """Which part of a resource's history to list."""

    sort: Annotated[Literal["position", "-position"], Field(description="`-` for the newest first")] = "position"


async def resource_by_id(database: Database, progress: Progress, tenant: str, resource_id: UUID) -> DictRow | None:
    """The row of one resource of this tenant."""
    return await database.find(BY_ID, progress.generation(PROJECTION), tenant, resource_id)


async def resources_on(page: Page, database: TenantRows, progress: Progress, allowed: Part) -> Sequence[DictRow]:
    """The resources on one page, of those that are allowed."""
    generation, horizon = progress.generation(PROJECTION), progress.horizon(PROJECTION)
    return await LIST.rows(database, page, allowed, generation=generation, horizon=horizon)


async def history_on(page: Page, database: Database, tenant: str, resource_id: UUID) -> Sequence[DictRow]:
    """The events of one resource on one page, from the audit copy."""
    stream = {"tenant": tenant, "stream": f"resources-{resource_id}"}
    return await HISTORY.rows(database.of(tenant), page, (OF_STREAM, stream))
