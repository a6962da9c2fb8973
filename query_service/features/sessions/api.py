"""The question which sign-ins of mine are alive."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from query_service.features.sessions.permissions import COLUMNS, READ_OWN
from query_service.features.sessions.queries import PROJECTION, live_sessions_on
from query_service.features.sessions.views import SessionList, SessionView
from query_service.infrastructure.pagination import PageQuery
from query_service.infrastructure.reading import ReadingOf, read_responses
from shared_kernel.auth.principal import Principal
from shared_kernel.web.access import requires

router = APIRouter()


@router.get("/v1/me/sessions", response_model=SessionList, responses=read_responses(headers=["Link"]))
async def list_my_sessions(
    query: Annotated[PageQuery, Query()], caller: Annotated[Principal, requires(READ_OWN)], reading: ReadingOf
) -> Response:
    """The caller's sessions that have not expired, in the order in which they were started."""
    progress = await reading.reach_list(PROJECTION)
    page = reading.page(query, str(caller.user_id), PROJECTION)
    allowed = reading.rows_allowed(caller, READ_OWN, COLUMNS)
    rows = await live_sessions_on(page, reading.database.of(caller.tenant), progress, allowed, caller.user_id)
    shown, link = page.split(rows, "created_position")
    items = tuple(SessionView(**row, current=row["id"] == caller.session_id) for row in shown)
    return reading.answer_page(SessionList(items=items), link)
