"""What routes declare, and which ones may not run."""

from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, File, Path
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from shared_kernel.errors import StartupRefused
from shared_kernel.feature import Feature, Permission
from shared_kernel.web.access import public, requires
from shared_kernel.web.application import create_application
from shared_kernel.web.routes import Body, RouteTable, undeclared_routes
from tests.shared_kernel.web.sample_service import CHANGE, CREATE, SampleServices, calling, sample_application


def application_with(router: APIRouter) -> FastAPI:
    return create_application(
        service="planted", title="Planted", features=[Feature("planted", (router,))], services=SampleServices()
    )


async def nothing() -> None:
    return None


def test_sample_declares_every_route() -> None:
    assert undeclared_routes(sample_application()) == []


@pytest.mark.asvs("V6.3.4", "V8.2.1", "V8.3.1")
def test_route_without_permission_refuses_the_start() -> None:
    router = APIRouter(prefix="/v1")
    router.add_api_route("/open-door", nothing)
    with pytest.raises(StartupRefused, match="GET /v1/open-door: names no permission"):
        application_with(router)


def test_route_with_two_permissions_refuses_the_start() -> None:
    router = APIRouter(dependencies=[requires(CREATE)])
    router.add_api_route("/twice", nothing, dependencies=[requires(CHANGE)])
    with pytest.raises(StartupRefused, match="GET /twice: names 2 permissions"):
        application_with(router)


def test_route_that_is_public_and_protected_refuses_the_start() -> None:
    router = APIRouter(dependencies=[public()])
    router.add_api_route("/both", nothing, dependencies=[requires(CHANGE)])
    with pytest.raises(StartupRefused, match="names 1 permissions and is declared public 1 times"):
        application_with(router)


def test_undeclared_route_inside_a_nested_router_is_found() -> None:
    inner = APIRouter(prefix="/inner")
    inner.add_api_route("/open-door", nothing)
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    with pytest.raises(StartupRefused, match="GET /outer/inner/open-door"):
        application_with(outer)


def test_permission_in_the_signature_counts() -> None:
    async def declared(principal: Annotated[object, requires(CREATE)]) -> None:
        return None

    router = APIRouter()
    router.add_api_route("/declared", declared)
    assert undeclared_routes(application_with(router)) == []


@pytest.mark.parametrize(
    "route",
    [
        Route("/plain", PlainTextResponse("hello")),
        Mount("/files", PlainTextResponse("hello")),
    ],
)
def test_route_that_can_declare_nothing_is_named(route: Route | Mount) -> None:
    app = sample_application()
    app.router.routes.append(route)
    assert [fault.split(": ")[1] for fault in undeclared_routes(app)] == [
        "names no permission and is not declared public"
    ]


async def test_route_that_was_added_later_refuses_to_serve() -> None:
    app = sample_application()
    app.add_api_route("/late", nothing)
    with pytest.raises(StartupRefused, match="/late"):
        async with calling(app) as caller:
            await caller.get("/late")


def test_same_function_name_twice_refuses_the_start() -> None:
    router = APIRouter(dependencies=[public()])
    router.add_api_route("/one", nothing)
    router.add_api_route("/two", nothing)
    with pytest.raises(StartupRefused, match="the function name nothing is already used by GET /one"):
        application_with(router)


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("GET", "/v1/things", "/v1/things"),
        ("POST", "/v1/things", "/v1/things"),
        ("PATCH", "/v1/things/7", "/v1/things/{thing_id}"),
        ("POST", "/v1/things/7/sell", "/v1/things/{thing_id}/sell"),
        ("HEAD", "/healthz", "/healthz"),
        ("GET", "/problems/x", "/problems/{code}"),
    ],
)
def test_table_finds_the_route_that_will_answer(method: str, path: str, template: str) -> None:
    found = RouteTable(sample_application(), 10).find(method, path)
    assert found is not None
    assert found.template == template


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/v1/things"), ("GET", "/v1"), ("GET", "/" * 40), ("GET", "/v1/things/7/8/9")]
)
def test_table_finds_nothing_where_nothing_is(method: str, path: str) -> None:
    assert RouteTable(sample_application(), 10).find(method, path) is None


def test_first_route_that_matches_wins_as_in_the_router() -> None:
    router = APIRouter(prefix="/v1/rooms", dependencies=[public()])

    @router.post("/{name}")
    async def open_room(name: str) -> None: ...

    @router.post("/batch")
    async def open_rooms() -> None: ...

    found = RouteTable(application_with(router), 10).find("POST", "/v1/rooms/batch")
    assert found is not None
    assert found.template == "/v1/rooms/{name}"


async def test_path_parameter_may_span_segments() -> None:
    router = APIRouter(prefix="/v1/trees", dependencies=[public()])

    @router.get("/{branch:path}")
    async def read_branch(branch: Annotated[str, Path()]) -> str:
        return branch

    async with calling(application_with(router)) as caller:
        assert (await caller.get("/v1/trees/a/b/c")).json() == "a/b/c"
        assert (await caller.get("/v1/trees/a/b/c?x=1")).json()["code"] == "unknown-parameter"


async def test_nested_router_is_answered_with_the_same_manners() -> None:
    inner = APIRouter(prefix="/inner", dependencies=[requires(Permission("thing", "see"))])

    @inner.get("/{name}")
    async def see_thing(name: str) -> str:
        return name

    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    async with calling(application_with(outer)) as caller:
        assert (await caller.get("/outer/inner/lamp")).status_code == 401
        assert (await caller.get("/outer/inner/lamp", headers={"Authorization": "x"})).json() == "lamp"
        assert (await caller.get("/outer/inner/lamp?x=1")).json()["code"] == "unknown-parameter"


def test_manners_say_what_a_body_may_be() -> None:
    router = APIRouter(dependencies=[public()])

    @router.post("/upload", max_body_size=5)
    async def upload_file(file: Annotated[bytes, File()]) -> None: ...

    app = application_with(router)
    upload = RouteTable(app, 10).find("POST", "/upload")
    health = RouteTable(app, 10).find("GET", "/healthz")
    assert upload is not None
    assert health is not None
    assert (upload.body, upload.media_types, upload.max_body_bytes) == (Body.STREAM, ("multipart/form-data",), 5)
    assert (health.body, health.max_body_bytes, health.quiet) == (Body.NONE, 10, True)
