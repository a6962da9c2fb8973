"""Questions about the log: a list of events, and one by its position."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from query_service.features.audit.permissions import COLUMNS, READ, attributes_of
from query_service.features.audit.queries import PROJECTION, EventQuery, event_at, events_on
from query_service.infrastructure.audit_log import EventList, EventView
from query_service.infrastructure.reading import ReadingOf, read_responses
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound
from shared_kernel.web.access import requires

MAX_POSITION = 2**63 - 1

router = APIRouter()


@router.get("/v1/events", response_model=EventList, responses=read_responses(headers=["Link"]))
async def list_events(
    query: Annotated[EventQuery, Query()], caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """Who did what, in the order in which the log recorded it."""
    progress = await reading.reach_list(AUDIT_COPY, PROJECTION)
    page = reading.page(query, caller.tenant, AUDIT_COPY)
    allowed = reading.rows_allowed(caller, READ, COLUMNS)
    rows = await events_on(page, reading.database.of(caller.tenant), progress, allowed)
    shown, link = page.split(rows, "position")
    return reading.answer_page(EventList(items=await reading.events(caller, shown)), link)


@router.get("/v1/events/{position}", response_model=EventView, responses=read_responses(NotFound))
async def read_event(
    position: Annotated[int, Path(ge=1, le=MAX_POSITION)],
    caller: Annotated[Principal, requires(READ)],
    reading: ReadingOf,
) -> Response:
    """One event by its position in the log."""
    progress = await reading.reach_list(AUDIT_COPY, PROJECTION)
    row = reading.found(await event_at(position, reading.database, progress, caller.tenant))
    reading.require(caller, READ, attributes_of(row["tenant"], row["owner"]))
    [event] = await reading.events(caller, [row])
    return reading.answer(event)
