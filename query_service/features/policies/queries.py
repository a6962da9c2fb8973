"""The questions about policies, in SQL."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow

from query_service.infrastructure.database import Database, TenantRows, in_generation
from query_service.infrastructure.listing import Listing, Part
from query_service.infrastructure.pagination import Page
from query_service.infrastructure.progress import Progress

PROJECTION = "policies"

SELECT = """
SELECT p.tenant, p.id, p.version, p.created_position, p.role, p.permission, p.condition, p.effect, p.added_by,
       p.added_at
  FROM {generation}.policies p
"""
BY_ID = SELECT + " WHERE p.tenant = %(tenant)s AND p.id = %(id)s AND p.removed_at IS NULL"
LIST = Listing(select=SELECT, position="p.created_position")


async def policy_by_id(database: Database, progress: Progress, tenant: str, policy_id: UUID) -> DictRow | None:
    """The row of one policy of this tenant that counts."""
    query = in_generation(BY_ID, progress.generation(PROJECTION))
    return await database.of(tenant).row(query, {"tenant": tenant, "id": policy_id})


async def policies_on(page: Page, database: TenantRows, progress: Progress, allowed: Part) -> Sequence[DictRow]:
    """The policies on one page that count, of those that are allowed."""
    generation, horizon = progress.generation(PROJECTION), progress.horizon(PROJECTION)
    counting: Part = ("p.removed_at IS NULL", {})
    return await LIST.rows(database, page, allowed, counting, generation=generation, horizon=horizon)
