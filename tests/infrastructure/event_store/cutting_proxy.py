"""A TCP proxy that loses the server's answers, and may cut the line too: the client cannot know what happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from psycopg.conninfo import conninfo_to_dict, make_conninfo


@dataclass
class CuttingProxy:
    """Between a client, which connects to `url`, and the server behind `server_url`."""

    server_url: str
    url: str = ""
    lose_next_answer: bool = False
    refuse: bool = False
    silent: bool = False
    silent_from: bytes = b""
    """What a client says last before the server falls silent, if it says so."""

    cuts: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        parts = conninfo_to_dict(self.server_url)
        upstream, downstream = await asyncio.open_connection(str(parts["host"]), int(str(parts["port"])))
        self._writers |= {writer, downstream}
        with suppress(asyncio.CancelledError):  # the test is over
            await asyncio.gather(self._pump(reader, downstream), self._pump(upstream, writer, answers=True))

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool = False) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65_536):
                self.silent |= not answers and bool(self.silent_from) and self.silent_from in data
                if answers and self.lose_next_answer:  # the server has committed: it only answers afterwards
                    self.lose_next_answer = False
                    self.cut()
                    return
                if answers and self.silent:  # as of a server that is stopped
                    continue
                target.write(data)
                await target.drain()
        target.close()

    def cut(self) -> None:
        """Drop all connections without a word."""
        self.cuts += 1
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()


@asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[CuttingProxy]:
    proxy = CuttingProxy(url)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy.url = make_conninfo(url, host="127.0.0.1", port=port)
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
