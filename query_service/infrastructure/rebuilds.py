"""How building read models anew goes: how far each rebuild is, how fast, and when it will be done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

REBUILDS = sql.SQL("""
SELECT r.projection, r.state, r.generation, r.reason, r.difference,
       coalesce(avg(s.position), 0)::bigint AS done, coalesce(avg(l.position), 0)::bigint AS total,
       (r.worked_seconds + CASE WHEN r.state = 'running' THEN extract(epoch FROM now() - r.going_since) ELSE 0 END)
           ::float8 AS seconds
  FROM public.rebuilds r
  LEFT JOIN public.checkpoints s ON s.projection = r.projection AND s.generation = r.generation
  LEFT JOIN public.checkpoints l ON l.projection = 'audit_events' AND l.partition = s.partition
 GROUP BY r.projection
 ORDER BY r.projection
""")


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """The last rebuild of a projection. `done` and `total` count events of the log, as a mean of all partitions.

    `per_second` is about the time that was worked; `seconds_left` is None while nobody can tell. `difference` is known
    once the rebuilt rows are level with the live ones, and `reason` says what keeps it from going on.
    """

    projection: str
    state: str
    generation: str
    done: int
    total: int
    per_second: float
    seconds_left: float | None
    difference: Mapping[str, int] | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def progress_of(row: Mapping[str, Any]) -> RebuildProgress:
    """What a row of REBUILDS says."""
    rate = row["done"] / row["seconds"] if row["seconds"] else 0.0
    left = max(0, row["total"] - row["done"])
    return RebuildProgress(
        projection=row["projection"],
        state=row["state"],
        generation=row["generation"],
        done=row["done"],
        total=row["total"],
        per_second=round(rate, 1),
        seconds_left=round(left / rate, 1) if row["state"] == "running" and rate > 0 else None,
        difference=row["difference"],
        reason=row["reason"],
    )
