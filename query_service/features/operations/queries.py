"""The questions about the machinery, in SQL."""

from collections.abc import Mapping

from psycopg import sql

from query_service.infrastructure.database import Database

PARKED = sql.SQL("""
SELECT k.projection, count(*) AS events
  FROM public.parked_events k
  LEFT JOIN public.projections p ON p.name = k.projection
 WHERE k.generation = coalesce(p.active, 'blue')
 GROUP BY k.projection
""")


async def parked_by_projection(database: Database) -> Mapping[str, int]:
    """How many events of each projection's live generation are set aside."""
    return {row["projection"]: row["events"] for row in await database.rows(PARKED)}
