"""A real server on a real port: what only the transport can show."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from shared_kernel.errors import StartupRefused
from shared_kernel.web import server
from shared_kernel.web.server import PortInUse, listen, run, serve
from tests.shared_kernel.web.sample_service import SIGNED_IN, SampleServices, sample_application


@asynccontextmanager
async def served(app: FastAPI, **options: Any) -> AsyncIterator[int]:
    """The port of a server in this process, stopped by cancellation at the end."""
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, started=port.set_result, **options))
    try:
        yield await asyncio.wait_for(port, 10)
    finally:
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving


async def spoken(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Everything the server says to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def posted(headers: str, body: bytes = b"") -> bytes:
    head = f"POST /v1/things HTTP/1.1\r\nHost: sample\r\nAuthorization: x\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


def problem_in(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


async def test_server_answers_and_does_not_name_itself() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        answer = await caller.post(f"http://127.0.0.1:{port}/v1/things", json={"name": "Lamp"}, headers=SIGNED_IN)
    assert answer.status_code == 201
    assert "server" not in answer.headers


async def test_chunked_body_without_length_is_bounded() -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    async with served(sample_application()) as port:
        answer = await spoken(port, posted(headers), *[chunk] * 17)
    assert problem_in(answer) == (413, "body-too-large")


async def test_chunked_body_is_taken() -> None:
    headers = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    async with served(sample_application()) as port:
        answer = await spoken(port, posted(headers), b'8\r\n{"name":\r\n', b'7\r\n"Lamp"}\r\n0\r\n\r\n', pause=0.02)
    assert answer.startswith(b"HTTP/1.1 201")


async def test_connection_is_usable_after_a_refused_body() -> None:
    async with served(sample_application(max_body_bytes=10)) as port, httpx2.AsyncClient() as caller:
        address = f"http://127.0.0.1:{port}"
        for _ in range(3):
            refused = await caller.post(f"{address}/v1/things", json={"name": "x" * 100_000}, headers=SIGNED_IN)
            assert refused.status_code == 413
            assert (await caller.get(f"{address}/v1/things")).status_code == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/things HTTP/1.1\r\nHost sample\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: sample\r\n\r\n",
        b"GET /v1/things HTTP/1.1\r\nHost: sample\r\nX: a\x00b\r\n\r\n",
        posted("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        posted("Content-Length: 5\r\nContent-Length: 6\r\n", b"hello"),
        posted("Content-Length: 1e1\r\n", b"0123456789"),
        posted("Transfer-Encoding: chunked\r\n", b"zz\r\n\r\n"),
    ],
    ids=["noise", "version", "header", "path", "NUL", "two lengths", "lengths differ", "length", "chunk"],
)
async def test_what_is_no_http_is_refused_in_its_own_words(request_: bytes) -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, request_)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in answer


async def test_head_that_never_ends_is_cut() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET / HTTP/1.1\r\nHost: sample\r\n", *[b"X-More: " + b"x" * 8_000 + b"\r\n"] * 20)
    assert answer == b"" or problem_in(answer) == (431, "header-fields-too-large")


async def test_single_header_that_never_ends_is_cut() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET / HTTP/1.1\r\nX-Endless: ", *[b"x" * 16_000] * 10)
    assert answer == b"" or problem_in(answer) == (431, "header-fields-too-large")


async def test_large_head_is_refused_with_a_problem() -> None:
    async with served(sample_application()) as port:
        answer = await spoken(port, b"GET /healthz HTTP/1.1\r\nConnection: close\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
    assert problem_in(answer) == (431, "header-fields-too-large")


async def test_head_that_does_not_arrive_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.05)
    async with served(sample_application()) as port:
        assert problem_in(await spoken(port, b"GET / HTTP/1.1\r\nHost: s")) == (408, "request-timeout")


async def test_body_that_does_not_arrive_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.05)
    async with served(sample_application()) as port:
        answer = await spoken(port, posted("Content-Type: application/json\r\nContent-Length: 50\r\n", b'{"name'))
    assert problem_in(answer) == (408, "request-timeout")


async def test_silence_of_our_own_making_is_not_held_against_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "SILENCE_SECONDS", 0.05)
    services = SampleServices()
    body = b"x" * 900_000
    head = (
        "POST /v1/things/018f2f1e-0000-7000-8000-000000000001/scan HTTP/1.1\r\nHost: s\r\nAuthorization: x\r\n"
        f"Connection: close\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    async with served(sample_application(services)) as port:
        asyncio.get_running_loop().call_later(0.3, services.release.set)
        answer = await spoken(port, head.encode() + body)
    assert answer.endswith(b"900000")


async def test_server_may_run_beside_the_main_thread() -> None:
    """Where signals cannot be caught, cancelling is what stops it."""
    here = asyncio.get_running_loop()
    ready: asyncio.Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Task[None]]] = here.create_future()

    async def beside() -> None:
        serving = asyncio.current_task()
        assert serving is not None

        def report(port: int) -> None:
            here.call_soon_threadsafe(ready.set_result, (port, serving.get_loop(), serving))

        await serve(sample_application(), "127.0.0.1", 0, started=report)

    running = asyncio.create_task(asyncio.to_thread(asyncio.run, beside()))
    port, loop, serving = await asyncio.wait_for(ready, 10)
    async with httpx2.AsyncClient() as caller:
        assert (await caller.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    loop.call_soon_threadsafe(serving.cancel)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)


async def test_forwarded_headers_are_not_believed() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        answer = await caller.get(f"http://127.0.0.1:{port}/v1/things", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" not in answer.headers


async def test_forwarded_headers_are_believed_from_a_named_proxy() -> None:
    async with (
        served(sample_application(), forwarded_allow_ips="127.0.0.1") as port,
        httpx2.AsyncClient() as caller,
    ):
        answer = await caller.get(f"http://127.0.0.1:{port}/v1/things", headers={"X-Forwarded-Proto": "https"})
    assert "strict-transport-security" in answer.headers


async def test_broken_answer_breaks_the_connection() -> None:
    async with served(sample_application()) as port, httpx2.AsyncClient() as caller:
        with pytest.raises(httpx2.RemoteProtocolError):
            await caller.get(f"http://127.0.0.1:{port}/v1/faults/halfway")


async def test_request_in_flight_is_finished_when_the_server_stops() -> None:
    services = SampleServices()
    app = sample_application(services)
    async with httpx2.AsyncClient() as caller:
        async with served(app) as port:
            asking = asyncio.create_task(caller.get(f"http://127.0.0.1:{port}/v1/faults/slow"))
            await asyncio.wait_for(services.entered.wait(), 10)
            asyncio.get_running_loop().call_later(0.2, services.release.set)
        answer = await asking
    assert answer.json() == "finished"


async def test_request_that_hangs_does_not_hold_the_server_for_ever() -> None:
    services = SampleServices()
    async with httpx2.AsyncClient() as caller:
        async with served(sample_application(services), grace_seconds=1) as port:
            asking = asyncio.create_task(caller.get(f"http://127.0.0.1:{port}/v1/faults/slow"))
            await asyncio.wait_for(services.entered.wait(), 10)
        answers = await asyncio.wait_for(asyncio.gather(asking, return_exceptions=True), 10)
    assert isinstance(answers[0], httpx2.RemoteProtocolError | httpx2.Response)


async def test_port_in_use_is_one_sentence() -> None:
    taken = listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with taken, pytest.raises(PortInUse, match=f"^Port {port} on 127.0.0.1 cannot be used: .*in use"):
        await serve(sample_application(), "127.0.0.1", port)


def test_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(StartupRefused, match=r"Cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_ipv6_is_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.family is socket.AF_INET6


async def test_failing_start_raises_what_the_lifespan_raised() -> None:
    @asynccontextmanager
    async def refusing(_: FastAPI) -> AsyncIterator[None]:
        if not SampleServices().missing:
            raise StartupRefused("The moon is in the wrong phase.")
        yield

    with pytest.raises(StartupRefused, match="wrong phase"):
        await serve(sample_application(lifespan=refusing), "127.0.0.1", 0)


async def test_lifespan_surrounds_the_serving() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        seen.append("opened")
        try:
            yield
        finally:
            seen.append("closed")

    async with served(sample_application(lifespan=lifespan)):
        assert seen == ["opened"]
    assert seen == ["opened", "closed"]


PROGRAM = """
import sys
from shared_kernel.observability import configure_logging
from shared_kernel.web.server import run, serve
from tests.shared_kernel.web.sample_service import sample_application

configure_logging("sample")
run(serve(sample_application(), "127.0.0.1", 0, started=lambda port: print(port, flush=True)))
print("stopped")
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_signal_stops_the_process_with_exit_code_0(sent: signal.Signals) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert program.stdout is not None
    port = int(await asyncio.wait_for(program.stdout.readline(), 30))
    async with httpx2.AsyncClient() as caller:
        assert (await caller.get(f"http://127.0.0.1:{port}/v1/things?tag=private")).status_code == 200
    program.send_signal(sent)
    out, err = await asyncio.wait_for(program.communicate(), 30)
    assert (program.returncode, out) == (0, b"stopped\n")
    lines = [json.loads(line) for line in err.splitlines()]
    assert {"listening", "request", "Shutting down"} <= {line["event"] for line in lines}
    assert not re.search(rb"private|Traceback", err)


def test_run_gives_what_its_main_gives() -> None:
    async def main() -> int:
        return 7

    assert run(main()) == 7
