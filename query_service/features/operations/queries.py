"""The questions about the machinery, in SQL."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from query_service.features.operations.views import DifferenceView, RebuildView
from query_service.infrastructure.database import Database

PARKED = sql.SQL("""
SELECT k.projection, k.events
  FROM public.parked_counts_v1() k
  LEFT JOIN public.projections p ON p.name = k.projection
 WHERE k.generation = coalesce(p.active, 'blue')
""")


REBUILDS = sql.SQL("""
SELECT r.projection, r.state, r.generation, r.reason, r.difference,
       coalesce(avg(s.position), 0)::bigint AS position, coalesce(avg(l.position), 0)::bigint AS target,
       r.worked_seconds + CASE WHEN r.state = 'running' THEN extract(epoch FROM now() - r.going_since) ELSE 0 END
           AS seconds
  FROM public.rebuilds r
  LEFT JOIN public.checkpoints s ON s.projection = r.projection AND s.generation = r.generation
  LEFT JOIN public.checkpoints l ON l.projection = 'audit_events' AND l.partition = s.partition
 GROUP BY r.projection
""")


async def rebuilds(database: Database) -> Mapping[str, RebuildView]:
    """The last rebuild of each projection that had one: how far it is, how fast, and when it will be done."""
    return {row["projection"]: _rebuild(row) for row in await database.rows(REBUILDS)}


def _rebuild(row: Mapping[str, Any]) -> RebuildView:
    rate = row["position"] / row["seconds"] if row["seconds"] else 0.0
    left = max(0, row["target"] - row["position"])
    running = row["state"] == "running" and rate > 0
    return RebuildView(
        state=row["state"],
        generation=row["generation"],
        position=row["position"],
        per_second=round(rate, 1),
        seconds_left=round(left / rate, 1) if running else None,
        difference=None if row["difference"] is None else DifferenceView.model_validate(row["difference"]),
        reason=row["reason"],
    )


async def parked_by_projection(database: Database) -> Mapping[str, int]:
    """How many events of each projection's live generation are set aside."""
    return {row["projection"]: row["events"] for row in await database.rows(PARKED)}
