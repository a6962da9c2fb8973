"""A small service with one route of every kind, to see the manners of the kernel on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID, uuid4

import httpx2
import psycopg
from fastapi import APIRouter, Body, FastAPI, Form, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from shared_kernel.auth.principal import Principal
from shared_kernel.errors import IdempotencyKeyReused, NotFound, Refusal, SchemaMismatch, Unauthenticated
from shared_kernel.feature import Feature, Permission
from shared_kernel.web.access import public, requires
from shared_kernel.web.application import create_application
from shared_kernel.web.context import current
from shared_kernel.web.headers import (
    ConsistencyTokenHeader,
    IdempotencyKeyHeader,
    IfMatchHeader,
    IfNoneMatchHeader,
    PreferHeader,
    documented,
    etag,
    not_modified,
)
from shared_kernel.web.problems import problem_responses

CREATE = Permission("thing", "create")
CHANGE = Permission("thing", "change")
SIGNED_IN = {"Authorization": "Bearer anything"}
VERSION = 3


class SoldThingStays(Refusal):
    """A thing that was sold cannot be changed."""


class OpenGate:
    """Lets everybody through who sends any Authorization at all."""

    async def admit(self, request: Request, permission: Permission, cost: int) -> Principal:
        if "authorization" not in request.headers:
            raise Unauthenticated
        return Principal(uuid4(), "default", uuid4(), ("member",), "pwd", 0)

    async def pass_public(self, request: Request, cost: int) -> None:
        return None


class SampleServices:
    """What the sample's routes reach; `missing` fills the readiness answer."""

    def __init__(self, missing: Mapping[str, str] | None = None) -> None:
        self.gate = OpenGate()
        self.missing = missing or {}
        self.entered = asyncio.Event()
        self.release = asyncio.Event()

    async def readiness(self) -> Mapping[str, str]:
        return {"database": "", **self.missing}


class NewThing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=20, examples=["Lamp"])
    tags: list[Annotated[str, Field(max_length=5)]] = []
    attributes: dict[str, Any] = {}


class Changes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str | None = None


class Paging(BaseModel):
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: str | None = None


things = APIRouter(prefix="/v1/things")
CREATED: dict[int | str, dict[str, Any]] = {201: {"headers": documented("ETag", "Location")}}


@things.post("", status_code=201, responses={**CREATED, **problem_responses(NotFound, IdempotencyKeyReused)})
async def create_thing(
    body: NewThing,
    principal: Annotated[Principal, requires(CREATE)],
    key: IdempotencyKeyHeader,
    response: Response,
) -> dict[str, Any]:
    response.headers["ETag"] = etag(1)
    return {"name": body.name, "key": key, "attributes": body.attributes, "correlation_id": current().correlation_id}


@things.get("", dependencies=[public()])
async def list_things(paging: Annotated[Paging, Query()], tag: Annotated[list[str], Query()] = []) -> dict[str, Any]:  # noqa: B006 - FastAPI copies the default
    return {"limit": paging.limit, "tags": tag}


@things.get("/{thing_id}", dependencies=[public()], responses=problem_responses(NotFound))
async def read_thing(
    thing_id: UUID, if_none_match: IfNoneMatchHeader, token: ConsistencyTokenHeader, prefer: PreferHeader
) -> Response:
    if if_none_match.has(etag(VERSION)):
        return not_modified(etag(VERSION))
    return Response(f"{token} {prefer.wait}", headers={"ETag": etag(VERSION), "Cache-Control": "private, no-cache"})


@things.patch("/{thing_id}", responses=problem_responses(NotFound, SoldThingStays))
async def change_thing(
    thing_id: UUID,
    body: Annotated[Changes, Body(media_type="application/merge-patch+json")],
    principal: Annotated[Principal, requires(CHANGE)],
    if_match: IfMatchHeader,
) -> dict[str, Any]:
    if_match.require(VERSION)
    return {"name": body.name}


@things.post("/{thing_id}/sell", dependencies=[requires(CHANGE)])
async def sell_thing(thing_id: UUID) -> None:
    raise SoldThingStays


@things.post(
    "/{thing_id}/picture",
    dependencies=[requires(CHANGE)],
    openapi_extra={"requestBody": {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def add_picture(thing_id: UUID, request: Request) -> int:
    return sum([len(part) async for part in request.stream()])


@things.post(
    "/{thing_id}/scan",
    dependencies=[requires(CHANGE)],
    openapi_extra={"requestBody": {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def add_scan(thing_id: UUID, request: Request) -> int:
    services: SampleServices = request.app.state.services
    services.entered.set()
    await services.release.wait()
    return sum([len(part) async for part in request.stream()])


oauth = APIRouter()


@oauth.post("/v1/token", dependencies=[public()])
async def issue_token(
    grant_type: Annotated[str, Form()], username: Annotated[str, Form(max_length=20)] = ""
) -> dict[str, str]:
    if username == "nobody":
        raise Unauthenticated('No "such" user: Überraschung')
    return {"grant_type": grant_type}


faults = APIRouter(prefix="/v1/faults", dependencies=[public()])


@faults.get("/unexpected")
async def raise_unexpected() -> None:
    raise RuntimeError("postgresql://secret@db alice@example.org")


@faults.get("/internal", include_in_schema=False)
async def raise_internal() -> None:
    raise SchemaMismatch


@faults.get("/database")
async def raise_database() -> None:
    raise psycopg.OperationalError("connection to server at 10.0.0.7 failed")


@faults.get("/halfway")
async def break_halfway() -> Response:
    from starlette.responses import StreamingResponse  # noqa: PLC0415 - only this route needs it

    async def parts() -> AsyncIterator[bytes]:
        yield b"first part"
        raise RuntimeError("the second part is missing")

    return StreamingResponse(parts())


@faults.get("/slow")
async def answer_slowly(request: Request) -> str:
    services: SampleServices = request.app.state.services
    services.entered.set()
    await services.release.wait()
    return "finished"


FEATURES = (
    Feature(
        "things",
        (things,),
        (CREATE, CHANGE),
        translations={"de": {"A thing that was sold cannot be changed.": "Verkauft ist verkauft."}},
    ),
    Feature("oauth", (oauth,)),
    Feature("faults", (faults,)),
)


def sample_application(services: SampleServices | None = None, **options: Any) -> FastAPI:
    return create_application(
        service="sample",
        title="Sample",
        features=FEATURES,
        services=services or SampleServices(),
        **options,
    )


@asynccontextmanager
async def calling(
    app: FastAPI, client: tuple[str, int] = ("127.0.0.1", 5000), base_url: str = "http://sample"
) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, client=client)
    async with httpx2.AsyncClient(transport=transport, base_url=base_url) as caller:
        yield caller
