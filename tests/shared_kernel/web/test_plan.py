"""A route carried out by its plan answers what FastAPI would have answered: both are asked the same, and compared."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, FastAPI, Form, Header, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from command_service.features import FEATURES as COMMANDS
from query_service.features import FEATURES as QUESTIONS
from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Feature, Permission
from shared_kernel.web import routes
from shared_kernel.web.access import public, requires
from shared_kernel.web.application import create_application
from shared_kernel.web.headers import IdempotencyKeyHeader, IfMatchHeader, IfNoneMatchHeader, PreferHeader
from shared_kernel.web.plan import Plan, Unplannable, plan_of
from tests.shared_kernel.web.sample_service import SampleServices, calling

USE = Permission("shelf", "use")
SIGNED_IN = {"Authorization": "Bearer anything"}
THING = "018f2f1e-0000-7000-8000-000000000001"


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=5)
    boards: list[int] = []


class Paging(BaseModel):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    tags: list[str] = []


async def colour(colour: Annotated[str, Header()] = "blue") -> str:
    return colour


async def paint(colour: Annotated[str, Depends(colour)], coats: Annotated[int, Header(ge=1)] = 1) -> str:
    return f"{coats} {colour}"


async def seen(request: Request, size: Annotated[float, Query()] = 1.5) -> str:
    return f"{request.method} {size}"


shelves = APIRouter(prefix="/v1/shelves")


@shelves.post("/{shelf_id}", status_code=201)
async def fill_shelf(
    *,
    shelf_id: UUID,
    shelf: Shelf,
    principal: Annotated[Principal, requires(USE)],
    paint: Annotated[str, Depends(paint)],
    colour: Annotated[str, Depends(colour)],
    key: IdempotencyKeyHeader,
    if_match: IfMatchHeader,
    request: Request,
) -> Response:
    body = (await request.body()).decode()
    found = [str(shelf_id), shelf.model_dump(), principal.tenant, paint, colour, key, if_match.present, body]
    return JSONResponse([*found, dict(request.path_params)], 201)


@shelves.get("/{shelf_id}/boards/{number}", dependencies=[public()])
async def read_board(
    *,
    shelf_id: UUID,
    number: int,
    seen: Annotated[str, Depends(seen)],
    paging: Annotated[Paging, Query()],
    known: IfNoneMatchHeader,
    prefer: PreferHeader,
    weight: Annotated[float | None, Header()] = None,
) -> JSONResponse:
    return JSONResponse([str(shelf_id), number, seen, paging.model_dump(), known.anything, prefer.wait, weight])


@shelves.put("", dependencies=[requires(USE)])
async def replace_all(shelves: Annotated[list[Shelf] | None, Body()] = None) -> Response:
    return JSONResponse(None if shelves is None else [each.name for each in shelves])


def application() -> FastAPI:
    features = [Feature("shelves", (shelves,), (USE,))]
    return create_application(service="planned", title="Planned", features=features, services=SampleServices())


@pytest.fixture
async def planned() -> AsyncIterator[httpx2.AsyncClient]:
    async with calling(application()) as caller:
        await caller.get("/healthz")  # the table of routes is made with the first request
        yield caller


@pytest.fixture
async def unplanned(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx2.AsyncClient]:
    with monkeypatch.context() as patch:
        patch.setattr(routes, "plan_of", lambda _: None)
        async with calling(application()) as caller:
            await caller.get("/healthz")
            yield caller


Asked = tuple[str, str, Any, dict[str, str]]
GOOD = {"name": "oak", "boards": [1, 2]}
FILL = f"/v1/shelves/{THING}"
READ = f"/v1/shelves/{THING}/boards/7"

REQUESTS: list[Asked] = [
    ("POST", FILL, GOOD, SIGNED_IN),
    ("POST", FILL, GOOD, {**SIGNED_IN, "Colour": "red", "Coats": "3", "If-Match": '"1"', "Idempotency-Key": "k"}),
    ("POST", FILL, GOOD, {**SIGNED_IN, "Coats": "0"}),
    ("POST", FILL, GOOD, {**SIGNED_IN, "Coats": "many", "Colour": "red"}),
    ("POST", FILL, GOOD, {**SIGNED_IN, "If-Match": "nonsense"}),
    ("POST", FILL, GOOD, {}),
    ("POST", "/v1/shelves/none", GOOD, {}),
    ("POST", "/v1/shelves/none", {"name": ""}, SIGNED_IN),
    ("POST", "/v1/shelves/none", {"nam": "x", "boards": ["a", "b"]}, {**SIGNED_IN, "Coats": "-1"}),
    ("POST", FILL, None, SIGNED_IN),
    ("POST", FILL, [], SIGNED_IN),
    ("POST", FILL, "text", SIGNED_IN),
    ("POST", f"{FILL}?size=1", GOOD, SIGNED_IN),
    ("GET", READ, None, {}),
    ("GET", f"{READ}?size=2&limit=3&tags=a&tags=b", None, {"Prefer": "wait=3", "Weight": "1.5", "If-None-Match": "*"}),
    ("GET", f"{READ}?size=big&limit=0", None, {"Weight": "heavy"}),
    ("GET", f"/v1/shelves/{THING}/boards/x?limit=1000", None, {"Prefer": "wait=never"}),
    ("GET", f"/v1/shelves/{THING}/boards/x?limit=1000", None, {}),
    ("HEAD", READ, None, {}),
    ("PUT", "/v1/shelves", None, SIGNED_IN),
    ("PUT", "/v1/shelves", [GOOD], SIGNED_IN),
    ("PUT", "/v1/shelves", [{"name": 1}], SIGNED_IN),
]


def shown(answer: httpx2.Response) -> tuple[int, dict[str, str], str]:
    own = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if value != own}
    return answer.status_code, headers, answer.text.replace(own, "this request")


@pytest.mark.parametrize("asked", REQUESTS, ids=str)
async def test_plan_answers_what_fastapi_answers(
    planned: httpx2.AsyncClient, unplanned: httpx2.AsyncClient, asked: Asked
) -> None:
    method, path, content, headers = asked
    json = {} if content is None else {"json": content}
    by_plan, by_fastapi = [await each.request(method, path, headers=headers, **json) for each in (planned, unplanned)]
    assert shown(by_plan) == shown(by_fastapi)
    assert by_plan.status_code < 500


async def test_first_of_two_equal_headers_counts(planned: httpx2.AsyncClient, unplanned: httpx2.AsyncClient) -> None:
    twice = [("Authorization", "Bearer x"), ("Colour", "red"), ("Colour", "green")]
    for each in (planned, unplanned):
        answer = await each.post(FILL, json=GOOD, headers=twice)
        assert answer.json()[3:5] == ["1 red", "red"]


async def test_plans_carry_out_requests_at_once_without_mixing_them(planned: httpx2.AsyncClient) -> None:
    async def ask(number: int) -> bool:
        named = {"name": f"n{number % 100}", "boards": [number]}
        headers = {**SIGNED_IN, "Colour": f"colour-{number}", "Idempotency-Key": f"key-{number}"}
        answer = (await planned.post(f"/v1/shelves/{UUID(int=number)}", json=named, headers=headers)).json()
        return bool(
            answer[:2] == [str(UUID(int=number)), named] and answer[4:6] == [headers["Colour"], f"key-{number}"]
        )

    assert all(await asyncio.gather(*map(ask, range(200))))


def test_every_route_of_this_test_is_planned() -> None:
    assert all(plan_of(route) for route in shelves.routes)


async def with_form(name: Annotated[str, Form()]) -> Response:
    return Response()


async def with_cookie(crumb: Annotated[str, Cookie()]) -> Response:
    return Response()


async def with_tasks(tasks: BackgroundTasks) -> Response:
    return Response()


async def with_two_bodies(one: Annotated[int, Body()], two: Annotated[int, Body()]) -> Response:
    return Response()


async def with_text(text: Annotated[str, Body(media_type="text/plain")]) -> Response:
    return Response()


async def with_many_headers(colours: Annotated[list[str], Header()]) -> Response:
    return Response()


async def with_other_answer() -> dict[str, int]:
    return {}


def in_a_thread() -> Response:
    return Response()


async def opened() -> AsyncIterator[int]:
    yield 1


async def with_something_to_close(number: Annotated[int, Depends(opened)]) -> Response:
    return Response()


@pytest.mark.parametrize(
    "endpoint",
    [
        *(with_form, with_cookie, with_tasks, with_two_bodies, with_text, with_many_headers, with_other_answer),
        *(in_a_thread, with_something_to_close),
    ],
)
def test_what_only_fastapi_can_do_stays_with_it(endpoint: Any) -> None:
    route = APIRoute("/x", endpoint, methods=["POST"], response_model=None)
    with pytest.raises(Unplannable):
        Plan(route)
    assert plan_of(route) is None


def test_path_with_a_converter_stays_with_fastapi() -> None:
    async def read(rest: str) -> Response:
        return Response(rest)

    assert plan_of(APIRoute("/files/{rest:path}", read, response_model=None)) is None


def test_of_our_own_routes_only_forms_and_answers_that_are_no_response_stay_with_fastapi() -> None:
    every = [route for feature in (*COMMANDS, *QUESTIONS) for router in feature.routers for route in router.routes]
    reasons = {reason for route in every if (reason := why_unplanned(route)) is not None}
    assert reasons <= {"the answer is not a Response", "the body is not JSON"}
    assert len(every) > 20


def why_unplanned(route: object) -> str | None:
    assert isinstance(route, APIRoute)
    try:
        Plan(route)
    except Unplannable as reason:
        return str(reason)
    return None
