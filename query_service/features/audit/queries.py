"""The questions about the log, in SQL over the audit copy."""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from psycopg.rows import DictRow
from pydantic import AwareDatetime, Field

from query_service.infrastructure.audit_log import SELECT
from query_service.infrastructure.database import Database, TenantRows, in_generation
from query_service.infrastructure.listing import Listing, Part
from query_service.infrastructure.pagination import Page, PageQuery, Word
from query_service.infrastructure.progress import Progress
from query_service.infrastructure.schema import AUDIT_COPY

PROJECTION = "stream_owners"

MICROSECONDS = "(extract(epoch FROM %({})s::timestamptz) * 1000000)::bigint"
BARE_POSITION = re.compile(r"0|[1-9][0-9]{0,17}")
JOIN = " LEFT JOIN {generation}.stream_owners o ON o.tenant = a.tenant AND o.stream = a.stream"
LIST = Listing(
    select=SELECT + JOIN,
    position="a.position",
    filters={
        "actor": "a.actor = %(actor)s",
        "stream": "a.stream = %(stream)s",
        "type": "a.topic = %(type)s",
        "correlation_id": "a.correlation_id = %(correlation_id)s",
        "since": f"a.recorded_at >= {MICROSECONDS.format('since')}",
        "until": f"a.recorded_at < {MICROSECONDS.format('until')}",
    },
)
BY_POSITION = """
SELECT a.position, a.tenant, a.tenant_seq, a.stream, a.version, a.topic, a.payload_format, a.payload, a.metadata,
       a.event_id, a.recorded_at, a.slot, a.leaf_version, a.leaf_hash, o.owner
  FROM public.tenant_events a
  LEFT JOIN {generation}.stream_owners o ON o.tenant = a.tenant AND o.stream = a.stream
 WHERE a.tenant = %(tenant)s AND a.position = %(position)s
"""


class EventQuery(PageQuery):
    """Which events to list; all filters must hold. A bare position may stand for a cursor in `after`."""

    actor: Annotated[Word | None, Field(description="a user id, or `system:<what>`")] = None
    stream: Annotated[Word | None, Field(description="such as `resources-<id>`")] = None
    type: Annotated[Word | None, Field(description="such as `resources.ResourceCreated.v1`")] = None
    correlation_id: Word | None = None
    since: Annotated[AwareDatetime | None, Field(description="recorded at this time or later, RFC 3339")] = None
    until: Annotated[AwareDatetime | None, Field(description="recorded before this time, RFC 3339")] = None
    sort: Annotated[Literal["position", "-position"], Field(description="`-` for the newest first")] = "position"

    @property
    def bare_position(self) -> int | None:
        return int(self.after) if self.after and BARE_POSITION.fullmatch(self.after) else None


async def events_on(page: Page, database: TenantRows, progress: Progress, allowed: Part) -> Sequence[DictRow]:
    """The events on one page, of those that are allowed, none beyond the horizon."""
    generation, horizon = progress.generation(PROJECTION), progress.horizon(AUDIT_COPY, PROJECTION)
    return await LIST.rows(database, page, allowed, generation=generation, horizon=horizon)


async def event_at(position: int, database: Database, progress: Progress, tenant: str) -> DictRow | None:
    """The event of this tenant at a position, with the person whom its stream concerns; none beyond the horizon."""
    if position > progress.horizon(AUDIT_COPY, PROJECTION):
        return None
    query = in_generation(BY_POSITION, progress.generation(PROJECTION))
    return await database.of(tenant).row(query, {"tenant": tenant, "position": position})
