"""The questions about the machinery, in SQL."""

from collections.abc import Mapping

from psycopg import sql

from query_service.features.operations.views import DifferenceView, RebuildView
from query_service.infrastructure.database import Database
from query_service.infrastructure.rebuilds import REBUILDS, RebuildProgress, progress_of

PARKED = sql.SQL("""
SELECT k.projection, k.events
  FROM public.parked_counts_v1() k
  LEFT JOIN public.projections p ON p.name = k.projection
 WHERE k.generation = coalesce(p.active, 'blue')
""")


async def rebuilds(database: Database) -> Mapping[str, RebuildView]:
    """The last rebuild of each projection that had one: how far it is, how fast, and when it will be done."""
    return {row["projection"]: _rebuild(progress_of(row)) for row in await database.rows(REBUILDS)}


def _rebuild(progress: RebuildProgress) -> RebuildView:
    difference = progress.difference
    return RebuildView(
        state=progress.state,
        generation=progress.generation,
        position=progress.done,
        target=progress.total,
        per_second=progress.per_second,
        seconds_left=progress.seconds_left,
        difference=None if difference is None else DifferenceView.model_validate(difference),
        reason=progress.reason,
    )


async def parked_by_projection(database: Database) -> Mapping[str, int]:
    """How many events of each projection's live generation are set aside."""
    return {row["projection"]: row["events"] for row in await database.rows(PARKED)}
