"""How a server starts, how it stops, and what it says when it cannot."""

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

import httpx2
import pytest
from fastapi import FastAPI

from shared_kernel.errors import StartupRefused
from shared_kernel.web.server import PortInUse, listen, run, serve
from tests.shared_kernel.web.sample_service import SampleServices, sample_application
from tests.shared_kernel.web.serving import served


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
