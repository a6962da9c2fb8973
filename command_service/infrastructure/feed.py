"""The log over HTTP, for the query service alone: what its stream cannot serve it reads here."""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Protocol

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Send

from command_service.infrastructure.event_store.store import PostgresEventStore
from shared_kernel.errors import Unauthenticated
from shared_kernel.messaging.feed import (
    EPOCH_HEADER,
    FEED_PATH,
    HEAD_HEADER,
    MEDIA_TYPE,
    PAGE_LIMIT,
    PARTITIONS_HEADER,
    SUMS_PATH,
)
from shared_kernel.web.access import public
from shared_kernel.web.problems import problem_responses

JSON_TYPE = "application/json"
PAGE_DEFAULT = 1_000

STALLED_SECONDS = 150.0
"""How long a reader may take nothing: longer than the read side's database may work at what it has got."""

router = APIRouter(tags=["infrastructure"])


class Services(Protocol):
    """What this route needs of the service it is mounted in; `feed_credential` is the whole Authorization header."""

    feed_credential: bytes
    log: PostgresEventStore


class _Lines(StreamingResponse):
    """Goes on as long as its reader does. From one who has stalled it takes back the connection that the lines hold."""

    def __init__(self, lines: AsyncGenerator[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(lines, 200, headers, MEDIA_TYPE)
        self._lines = lines

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    await send(message)
            except TimeoutError:
                raise ClientDisconnect from None

        async with aclosing(self._lines):
            await super().stream_response(send_in_time)


async def require_credential(request: Request) -> None:
    """Raises Unauthenticated for anybody but the query service."""
    services: Services = request.app.state.services
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode("latin-1"), services.feed_credential):
        raise Unauthenticated


@router.get(
    FEED_PATH,
    dependencies=[public(), Depends(require_credential)],
    response_class=StreamingResponse,
    responses={
        200: {"description": "One event per line, as it is stored.", "content": {MEDIA_TYPE: {}}},
        **problem_responses(Unauthenticated),
    },
)
async def feed(
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
    partition: Annotated[int | None, Query(ge=0, le=1023)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    category: Annotated[str | None, Query(pattern="^[a-z_]{1,64}$")] = None,
) -> Response:
    """The events after a position, for the query service; headers say epoch, head and number of partitions."""
    services: Services = request.app.state.services
    facts, lines = await services.log.feed(after, limit, partition=partition, category=category)
    headers = {EPOCH_HEADER: str(facts.epoch), HEAD_HEADER: str(facts.head), PARTITIONS_HEADER: str(facts.partitions)}
    return _Lines(lines, headers)


@router.get(SUMS_PATH, dependencies=[public(), Depends(require_credential)], include_in_schema=False)
async def sums(request: Request, upto: Annotated[int, Query(ge=0, le=2**63 - 1)]) -> Response:
    """What the log adds up to, per partition, at the newest kept position that is not beyond `upto`."""
    services: Services = request.app.state.services
    position, found = await services.log.sums(upto)
    return Response(orjson.dumps({"position": position, "sums": [str(each) for each in found]}), media_type=JSON_TYPE)
