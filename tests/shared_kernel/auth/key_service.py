"""A small HTTP server with one document: the keys that somebody publishes, or whatever else it is given."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class KeyService:
    """Answers every question with `body`, in so many pieces; remembers what it was asked."""

    def __init__(self, body: bytes) -> None:
        self.requests: list[str] = []
        self.methods: set[str] = set()
        self.pieces = 1
        self.status = 200
        self.body = body
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[:2]
        self.methods.add(method)
        self.requests.append(path)
        await asyncio.sleep(0.01)
        head = f"HTTP/1.1 {self.status} Any\r\nContent-Length: {len(self.body)}\r\nConnection: close\r\n"
        first, *rest = batched(self.body, self.pieces)
        writer.write(f"{head}Location: {self.url}/elsewhere\r\n\r\n".encode() + first)
        await writer.drain()
        for piece in rest:
            await asyncio.sleep(0.01)
            writer.write(piece)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


def batched(body: bytes, pieces: int) -> list[bytes]:
    size = len(body) // pieces + 1
    return [body[start : start + size] for start in range(0, len(body) + 1, size)]


@asynccontextmanager
async def key_service(body: bytes) -> AsyncIterator[KeyService]:
    service = KeyService(body)
    server = await asyncio.start_server(service.answer, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield service
