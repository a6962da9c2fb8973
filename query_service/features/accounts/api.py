"""Questions about accounts: one's own, one of the tenant, a list of all."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from query_service.features.accounts.permissions import COLUMNS, READ, READ_OWN, READ_REASON, attributes_of
from query_service.features.accounts.queries import PROJECTION, UserQuery, user_by_id, users_on
from query_service.features.accounts.views import MeView, UserList, UserView
from query_service.infrastructure.reading import VERSIONED, ReadingOf, read_responses
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import NotFound
from shared_kernel.web.access import requires
from shared_kernel.web.headers import IfNoneMatchHeader, etag

router = APIRouter()


@router.get("/v1/me", response_model=MeView, responses=read_responses(NotFound, headers=["ETag"]))
async def read_me(caller: Annotated[Principal, requires(READ_OWN)], reading: ReadingOf) -> Response:
    """The caller's own account; never 304, because the roles are the token's, not the row's."""
    progress = await reading.reach_row(PROJECTION)
    row = reading.found(await user_by_id(reading.database, progress, caller.tenant, caller.user_id))
    return reading.answer(MeView(**row, roles=caller.roles), {"ETag": etag(row["version"])})


@router.get("/v1/users", response_model=UserList, responses=read_responses(headers=["Link"]))
async def list_users(
    query: Annotated[UserQuery, Query()], caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """The accounts of the tenant in the order of their registration, for admins and auditors."""
    progress = await reading.reach_list(PROJECTION)
    page = reading.page(query, caller.tenant, PROJECTION)
    allowed = reading.rows_allowed(caller, READ, COLUMNS)
    rows = await users_on(page, reading.database.of(caller.tenant), progress, allowed)
    shown, link = page.split(rows, "created_position")
    reason = reading.may(caller, READ_REASON)
    return reading.answer_page(UserList(items=tuple(UserView.of(row, reason=reason) for row in shown)), link)


@router.get("/v1/users/{user_id}", response_model=UserView, responses=read_responses(NotFound) | VERSIONED)
async def read_user(
    user_id: UUID, known: IfNoneMatchHeader, caller: Annotated[Principal, requires(READ)], reading: ReadingOf
) -> Response:
    """One account of the tenant, for admins and auditors."""
    progress = await reading.reach_row(PROJECTION)
    row = reading.found(await user_by_id(reading.database, progress, caller.tenant, user_id))
    reading.require(caller, READ, attributes_of(row))
    reason = reading.may(caller, READ_REASON)
    return reading.answer_version(lambda: UserView.of(row, reason=reason), row["version"], known)
