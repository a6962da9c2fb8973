"""Questions about resources: one, a list, the history of one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from query_service.features.resources.permissions import COLUMNS, READ, READ_HISTORY, attributes_of
from query_service.features.resources.queries import (
    PROJECTION,
    HistoryQuery,
    ResourceQuery,
    history_on,
    resource_by_id,
    resources_on,
)
from query_service.features.resources.views import ResourceList, ResourceView
from query_service.infrastructure.audit_log import EventList
from query_service.infrastructure.reading import VERSIONED, ReadingOf, read_responses
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound
from shared_kernel.web.access import requires
from shared_kernel.web.headers import IfNoneMatchHeader

router = APIRouter()


@router.get("/v1/resources", response_model=ResourceList, responses=read_responses(headers=["Link"]))
async def list_resources(
    query: Annotated[ResourceQuery, Query()], caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """The resources that the caller may read, in the order in which they were made."""
    progress = await reading.reach_list(PROJECTION)
    page = reading.page(query, caller.tenant, PROJECTION)
    allowed = reading.rows_allowed(caller, READ, COLUMNS)
    rows = await resources_on(page, reading.database.of(caller.tenant), progress, allowed)
    shown, link = page.split(rows, "created_position")
    return reading.answer_page(ResourceList(items=tuple(ResourceView(**row) for row in shown)), link)


@router.get("/v1/resources/{resource_id}", response_model=ResourceView, responses=read_responses(NotFound) | VERSIONED)
async def read_resource(
    resource_id: UUID, known: IfNoneMatchHeader, caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """One resource in full; its ETag fits `If-Match` of the command API."""
    progress = await reading.reach_row(PROJECTION)
    row = reading.found(await resource_by_id(reading.database, progress, caller.tenant, resource_id))
    reading.require(caller, READ, attributes_of(row))
    return reading.answer_version(lambda: ResourceView(**row), row["version"], known)


@router.get(
    "/v1/resources/{resource_id}/history",
    response_model=EventList,
    responses=read_responses(NotFound, headers=["Link"]),
)
async def read_resource_history(
    resource_id: UUID,
    query: Annotated[HistoryQuery, Query()],
    caller: Annotated[Principal, requires(READ_HISTORY)],
    reading: ReadingOf,
) -> Response:
    """Every event of one resource, for its owner and for those who audit."""
    progress = await reading.reach_row(PROJECTION, AUDIT_COPY)
    row = reading.found(await resource_by_id(reading.database, progress, caller.tenant, resource_id))
    reading.require(caller, READ_HISTORY, attributes_of(row))
    page = reading.page(query, caller.tenant, AUDIT_COPY)
    shown, link = page.split(await history_on(page, reading.database, caller.tenant, resource_id), "position")
    return reading.answer_page(EventList(items=await reading.events(caller, shown)), link)
