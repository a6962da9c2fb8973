"""Runs an application on a port until it is told to stop: uvicorn with bounded heads and a graceful, bounded end."""

import asyncio
import errno
import gc
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import orjson
import uvicorn
import uvloop
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared_kernel.errors import StartupRefused, TwinlogError
from shared_kernel.observability import get_logger
from shared_kernel.transport import CIPHERS, Certificate
from shared_kernel.web.edge import MAX_HEADER_BYTES
from shared_kernel.web.problems import MEDIA_TYPE, BadRequest, HeaderFieldsTooLarge, RequestTimeout, problem_body

GRACE_SECONDS = 10
"""How long requests in flight may take to finish once the process is told to stop."""

HEAD_SECONDS = 10.0
"""How long the head of a request may take to arrive."""

SILENCE_SECONDS = 30.0
"""How long a body may pause while it arrives."""

BACKLOG = 2048
GC_THRESHOLD = 20_000
"""So many new objects start a look for unreachable ones; Python's 700 would cost every request."""

T = TypeVar("T")
_log = get_logger("twinlog.server")


class PortInUse(StartupRefused):
    """Another program already listens on this address."""


class PunctualProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which would wait and gather for ever, with a limit on the size of heads and on silence."""

    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head():
            return self._head_goes_on(len(data))
        self._head_bytes = 0
        self._cancel_timer()
        if self._in_body():
            self._timer = self.loop.call_later(SILENCE_SECONDS, self._too_late)
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def _in_head(self) -> bool:
        """Whether a message has begun of which uvicorn has made no cycle yet."""
        begun: bool = self.scope is not None  # uvicorn declares what it sets with the first message
        return begun and (not self._has_cycle() or self.cycle.scope is not self.scope)

    def _in_body(self) -> bool:
        return self._has_cycle() and self.cycle.more_body

    def _has_cycle(self) -> bool:
        return getattr(self, "cycle", None) is not None

    def _head_goes_on(self, received: int) -> None:
        self._head_bytes += received
        if self._head_bytes > 2 * MAX_HEADER_BYTES:
            self._give_up(HeaderFieldsTooLarge)
        elif self._timer is None:
            # Set once per head: a head that trickles in gets no more time.
            self._timer = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text is replaced by a problem
        self._give_up(BadRequest)

    def _too_late(self) -> None:
        self._timer = None
        if self.flow.read_paused and not self.cycle.response_complete:
            # The silence is ours: the application has not yet taken what already came.
            self._timer = self.loop.call_later(SILENCE_SECONDS, self._too_late)
        else:
            self._give_up(RequestTimeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, problem: type[TwinlogError]) -> None:
        self._cancel_timer()
        if self.transport.is_closing():
            return
        if self._in_head() or not self._has_cycle() or not self.cycle.response_started:
            self.transport.write(_final_answer(problem))
        self.transport.close()


def _final_answer(problem: type[TwinlogError]) -> bytes:
    body = orjson.dumps({**problem_body(problem, instance="about:blank")})
    head = (
        f"HTTP/1.1 {problem.status} {problem.__name__}\r\ncontent-type: {MEDIA_TYPE}\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


class _Server(uvicorn.Server):
    """uvicorn's server, ending quietly: uvicorn itself raises the signal once more and so never exits with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(each)


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    *,
    certificate: Certificate | None = None,
    grace_seconds: int = GRACE_SECONDS,
    started: Callable[[int], None] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or cancellation; then finish what is in flight within `grace_seconds`, and return.

    Port 0 takes a free one; `started` is told the port once requests are answered. Whom a request came from is the
    application's own question. With a `certificate` it speaks HTTPS and nothing else.

    Raises PortInUse, StartupRefused for a certificate, or whatever the application's lifespan raises at its start.
    """
    encryption = {} if certificate is None else _encryption(certificate)
    listener = listen(host, port)
    config = uvicorn.Config(
        app,
        http=PunctualProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=grace_seconds,
        **encryption,
    )
    server = _Server(config)
    try:
        # The lifespan is entered here and not by uvicorn, so that what it raises reaches the caller as it is.
        async with app.router.lifespan_context(app):
            await _run(server, listener, started)
    finally:
        listener.close()


def _encryption(certificate: Certificate) -> dict[str, Any]:
    """What uvicorn is told; left alone it would choose ciphers of TLS 1.0."""
    certificate.require_usable()
    return {"ssl_certfile": certificate.chain, "ssl_keyfile": certificate.key, "ssl_ciphers": CIPHERS}


async def _run(server: uvicorn.Server, listener: socket.socket, started: Callable[[int], None] | None) -> None:
    port = listener.getsockname()[1]
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event to wait for
            await asyncio.sleep(0.005)
        if server.started:
            _log.info("listening", host=listener.getsockname()[0], port=port)
            if started is not None:
                started(port)
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises PortInUse when somebody else has the port, StartupRefused for a bad address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise PortInUse(f"Port {port} on {host} cannot be used: {error.strerror}.") from None
        raise StartupRefused(f"Cannot listen on {host}: {error.strerror}.") from None
    listener.setblocking(False)
    return listener


def run(main: Coroutine[Any, Any, T], gc_threshold: int = GC_THRESHOLD) -> T:
    """Run a process's main coroutine on uvloop, with garbage collection as a server needs it."""
    # What is imported by now lives as long as the process; looking through it again and again costs every request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(gc_threshold, 50, 50)
    return uvloop.run(main)
