"""The feed of a log in memory over real HTTP, with the wire format of the kernel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI, Request, Response

from shared_kernel.events.completeness import EVERY, MODULUS, term
from shared_kernel.messaging.feed import (
    EPOCH_HEADER,
    FEED_PATH,
    HEAD_HEADER,
    MEDIA_TYPE,
    PARTITIONS_HEADER,
    SUMS_PATH,
    encode,
)
from shared_kernel.web.server import serve
from tests.support.history import History
from tests.support.waiting import server_ended

CREDENTIAL = bytes(range(32))


class FeedServer:
    """Answers like the command service; `away` makes it refuse.

    `asked` counts requests for a partition's events, `looked` the control loop's looks at operators' wishes: they are
    no sign that the streams lack something.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.asked = self.looked = 0
        self.away = False
        self.url = ""

    async def answer(self, request: Request) -> Response:
        self.asked += "partition" in request.query_params
        self.looked += "category" in request.query_params
        if self.away or request.headers.get("authorization") != f"Bearer {CREDENTIAL.hex()}":
            return Response(status_code=503 if self.away else 401)
        after, limit = int(request.query_params["after"]), int(request.query_params["limit"])
        partition = request.query_params.get("partition")
        category = request.query_params.get("category")
        rows = [
            row
            for row in self.history.rows
            if row.position > after
            and (partition is None or self.history.partition(row) == int(partition))
            and (category is None or row.stream.startswith(f"{category}-"))
        ][:limit]
        headers = {
            EPOCH_HEADER: str(self.history.epoch),
            HEAD_HEADER: str(len(self.history.rows)),
            PARTITIONS_HEADER: str(self.history.partitions),
        }
        return Response(b"".join(map(encode, rows)), media_type=MEDIA_TYPE, headers=headers)

    async def sums(self, request: Request) -> Response:
        """As the relay keeps them, at every thousandth position."""
        position = min(int(request.query_params["upto"]), len(self.history.rows)) // EVERY * EVERY
        sums = [0] * self.history.partitions
        for row in self.history.rows[:position]:
            sums[self.history.partition(row)] += term(row.position, row.leaf_hash)
        return Response(orjson.dumps({"position": position, "sums": [str(each % MODULUS) for each in sums]}))


@asynccontextmanager
async def running_feed(history: History) -> AsyncIterator[FeedServer]:
    """A feed server on a free port."""
    server = FeedServer(history)
    app = FastAPI(openapi_url=None)
    app.add_api_route(FEED_PATH, server.answer)
    app.add_api_route(SUMS_PATH, server.sums)
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, grace_seconds=1, started=ready.set_result))
    server.url = f"http://127.0.0.1:{await ready}"
    try:
        yield server
    finally:
        await server_ended(serving)
