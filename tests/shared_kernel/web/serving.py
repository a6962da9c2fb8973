"""A server in the test's own process, on a free port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from shared_kernel.web.server import serve
from tests.support.waiting import server_ended


@asynccontextmanager
async def served(app: FastAPI, **options: Any) -> AsyncIterator[int]:
    """The port of a server in this process, stopped by cancellation at the end."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, started=port.set_result, **options))
    try:
        yield await asyncio.wait_for(port, 10)
    finally:
        await server_ended(serving)
