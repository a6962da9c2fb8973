"""The questions about accounts, in SQL."""

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from psycopg.rows import DictRow
from pydantic import Field

from query_service.infrastructure.database import Database, TenantRows
from query_service.infrastructure.listing import Listing, Part
from query_service.infrastructure.lookup import Lookup
from query_service.infrastructure.pagination import Page, PageQuery
from query_service.infrastructure.progress import Progress

PROJECTION = "users"

SELECT = """
SELECT u.tenant, u.id, u.version, u.created_position, u.email, u.name, u.created_at, u.updated_at,
       u.state, u.suspended_at, u.suspension_reason
  FROM {generation}.users u
"""
BY_ID = Lookup(SELECT, key={"tenant": "u.tenant::text", "id": "u.id::uuid"})
LIST = Listing(select=SELECT, position="u.created_position")


class UserQuery(PageQuery):
    """Which part of the accounts to list."""

    sort: Annotated[Literal["created_at", "-created_at"], Field(description="`-` for the newest first")] = "created_at"


async def user_by_id(database: Database, progress: Progress, tenant: str, user_id: UUID) -> DictRow | None:
    """The row of one account of this tenant."""
    return await database.find(BY_ID, progress.generation(PROJECTION), tenant, user_id)


async def users_on(page: Page, database: TenantRows, progress: Progress, allowed: Part) -> Sequence[DictRow]:
    """The accounts on one page, of those that are allowed."""
    generation, horizon = progress.generation(PROJECTION), progress.horizon(PROJECTION)
    return await LIST.rows(database, page, allowed, generation=generation, horizon=horizon)
