"""The questions about sign-in sessions, in SQL."""

from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import DictRow

from query_service.infrastructure.database import TenantRows
from query_service.infrastructure.listing import Listing, Part
from query_service.infrastructure.pagination import Page
from query_service.infrastructure.progress import Progress

PROJECTION = "sessions"

SELECT = """
SELECT s.tenant, s.id, s.version, s.created_position, s.user_id, s.methods, s.created_at, s.expires_at,
       coalesce(s.used_at, s.created_at) AS used_at, s.device, s.network
  FROM {generation}.sessions s
"""
GOES_ON = """
s.ended_at IS NULL AND s.expires_at > now() AND coalesce(s.used_at, s.created_at) > now() - interval '30 minutes'
"""
LIST = Listing(select=SELECT, position="s.created_position")


async def live_sessions_on(
    page: Page, database: TenantRows, progress: Progress, allowed: Part, whose: UUID
) -> Sequence[DictRow]:
    """The sessions of one user on one page that go on, of those that are allowed."""
    generation, horizon = progress.generation(PROJECTION), progress.horizon(PROJECTION)
    theirs: Part = ("s.user_id = %(whose)s", {"whose": whose})
    live: Part = (GOES_ON, {})
    return await LIST.rows(database, page, allowed, theirs, live, generation=generation, horizon=horizon)
