"""Questions about a tenant's policies: a list of all, and one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from query_service.features.policies.permissions import COLUMNS, READ
from query_service.features.policies.queries import PROJECTION, policies_on, policy_by_id
from query_service.features.policies.views import PolicyList, PolicyView
from query_service.infrastructure.pagination import PageQuery
from query_service.infrastructure.reading import VERSIONED, ReadingOf, read_responses
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound
from shared_kernel.web.access import requires
from shared_kernel.web.headers import IfNoneMatchHeader

router = APIRouter()


@router.get("/v1/policies", response_model=PolicyList, responses=read_responses(headers=["Link"]))
async def list_policies(
    query: Annotated[PageQuery, Query()], caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """The tenant's own policies in the order in which they were added, for admins and auditors."""
    progress = await reading.reach_list(PROJECTION)
    page = reading.page(query, caller.tenant, PROJECTION)
    allowed = reading.rows_allowed(caller, READ, COLUMNS)
    rows = await policies_on(page, reading.database.of(caller.tenant), progress, allowed)
    shown, link = page.split(rows, "created_position")
    return reading.answer_page(PolicyList(items=tuple(PolicyView(**row) for row in shown)), link)


@router.get("/v1/policies/{policy_id}", response_model=PolicyView, responses=read_responses(NotFound) | VERSIONED)
async def read_policy(
    policy_id: UUID, known: IfNoneMatchHeader, caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """One policy of the tenant, for admins and auditors."""
    progress = await reading.reach_row(PROJECTION)
    row = reading.found(await policy_by_id(reading.database, progress, caller.tenant, policy_id))
    return reading.answer_version(lambda: PolicyView(**row), row["version"], known)
