"""One question being answered: how fresh the answer must be, what of it the caller may see, how it goes out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from query_service.infrastructure.audit_log import READ_PERSONAL, EventReader, EventView
from query_service.infrastructure.database import AWAY, Database
from query_service.infrastructure.freshness import Freshness
from query_service.infrastructure.listing import Part
from query_service.infrastructure.pagination import Cursors, Page, PageQuery
from query_service.infrastructure.progress import Progress
from shared_kernel.auth.policy import Columns, ObjectAttributes, PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import (
    LogEpochChanged,
    NotFound,
    ReadModelBehind,
    ReadModelParked,
    ServiceUnavailable,
    TwinlogError,
)
from shared_kernel.feature import Permission
from shared_kernel.messaging.consistency import MalformedConsistencyToken
from shared_kernel.web.headers import (
    ConsistencyTokenHeader,
    IfNoneMatch,
    Preferences,
    PreferHeader,
    documented,
    etag,
    not_modified,
)
from shared_kernel.web.problems import problem_responses

DEFAULT_WAIT = 1
MAX_WAIT = 30
"""Seconds to wait for a Consistency-Token."""

PRIVATE = "private, no-cache"
"""Answers depend on who asks: kept by the caller alone, and asked about again each time."""

MEDIA_TYPE = "application/json"

T = TypeVar("T")


class ReadServices(Protocol):
    """What routes that read find in `request.app.state.services`."""

    @property
    def database(self) -> Database: ...
    @property
    def freshness(self) -> Freshness: ...
    @property
    def policies(self) -> PolicyEngine: ...
    @property
    def cursors(self) -> Cursors: ...
    @property
    def events(self) -> EventReader: ...


class Reading:
    """Given to a route as `reading: ReadingOf`; wait for freshness first, then ask, then answer."""

    def __init__(self, services: ReadServices, path: str, token: str | None, prefer: Preferences) -> None:
        self.services = services
        self.database = services.database
        self.progress: Progress = services.freshness.progress
        self._path = path
        self._token = token
        self._wait = min(DEFAULT_WAIT if prefer.wait is None else prefer.wait, MAX_WAIT)
        self._headers = {"Cache-Control": PRIVATE}
        if token is not None and prefer.wait is not None:
            self._headers["Preference-Applied"] = f"wait={self._wait}"

    async def reach_row(self, *reads: str) -> Progress:
        """Wait until the row of the Consistency-Token's stream is there. Raises what `Freshness.reach` raises."""
        self.progress = await self.services.freshness.reach(self._token, self._wait, *reads, whole=False)
        return self.progress

    async def reach_list(self, *reads: str) -> Progress:
        """Wait until lists hold what the Consistency-Token promises. Raises what `Freshness.reach` raises."""
        self.progress = await self.services.freshness.reach(self._token, self._wait, *reads, whole=True)
        return self.progress

    def page(self, query: PageQuery, whose: str, projection: str) -> Page:
        """The page that was asked for, in the list of this tenant or user and of this version of the projection."""
        version = self.progress.of(projection).version
        return Page.of(self.services.cursors, self._path, query, whose, version, epoch=self.progress.epoch)

    def rows_allowed(self, principal: Principal, permission: Permission, columns: Columns) -> Part:
        """The condition that lets through what the caller may see in a list."""
        return self.services.policies.sql_filter(principal, permission, columns)

    def require(self, principal: Principal, permission: Permission, obj: ObjectAttributes) -> None:
        """Raises Forbidden unless the caller may do this to this one object."""
        self.services.policies.require(principal, permission, obj)

    def may(self, principal: Principal, permission: Permission) -> bool:
        """Whether the caller may do this in their tenant, whatever the object: for single fields of an answer."""
        obj = ObjectAttributes(permission.kind, principal.tenant)
        return self.services.policies.decide(principal, permission, obj).allowed

    async def events(self, principal: Principal, rows: Sequence[Mapping[str, Any]]) -> tuple[EventView, ...]:
        """Rows of the audit copy as this caller may see them."""
        return await self.services.events.views(rows, personal=self.may(principal, READ_PERSONAL))

    def found(self, row: T | None) -> T:
        """The row itself. Raises NotFound when there is none, or when it is another tenant's (which is the same)."""
        self._require_that_it_holds()
        if row is None:
            raise NotFound
        return row

    def _require_that_it_holds(self) -> None:
        """What was read by an older picture may have been empty. Raises ServiceUnavailable."""
        if not self.progress.holds:
            raise ServiceUnavailable(AWAY)

    def answer(self, view: BaseModel, headers: Mapping[str, str] | None = None) -> Response:
        """200 with the view as JSON. Raises ServiceUnavailable when finding it took too long."""
        self._require_that_it_holds()
        return Response(view.model_dump_json(), headers={**self._headers, **(headers or {})}, media_type=MEDIA_TYPE)

    def answer_version(self, view: Callable[[], BaseModel], version: int, known: IfNoneMatch) -> Response:
        """200 with the full representation of one row and its ETag, or 304 when the caller has this version."""
        tag = etag(version)
        return not_modified(tag, self._headers) if known.has(tag) else self.answer(view(), {"ETag": tag})

    def answer_page(self, view: BaseModel, link: str | None) -> Response:
        """200 with one page of a list and the link to the next one, if there is one."""
        return self.answer(view, {"Link": link} if link else None)


async def _reading(request: Request, token: ConsistencyTokenHeader, prefer: PreferHeader) -> Reading:
    # A coroutine, because FastAPI sends plain functions and classes through a thread.
    return Reading(request.app.state.services, request.scope["path"], token, prefer)


ReadingOf = Annotated[Reading, Depends(_reading)]


VERSIONED: dict[int | str, dict[str, Any]] = {
    200: {"headers": documented("Preference-Applied", "ETag")},
    304: {
        "description": "The caller has this version: `If-None-Match` names its tag.",
        "headers": documented("Preference-Applied", "ETag"),
    },
}
"""For the `responses=` of a route that answers with `answer_version`."""


def read_responses(*further: type[TwinlogError], headers: Sequence[str] = ()) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: what a read can answer besides what any route can, and the headers of a good one."""
    waiting = (MalformedConsistencyToken, LogEpochChanged, ReadModelBehind, ReadModelParked)
    good: dict[int | str, dict[str, Any]] = {200: {"headers": documented("Preference-Applied", *headers)}}
    return good | problem_responses(*waiting, *further)
