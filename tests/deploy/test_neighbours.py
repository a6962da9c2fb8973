"""Stacks beside others: two on one machine, engines beside a system's own, and a stop that nothing can hold up."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import psycopg
import pytest

from deploy.local.data_folder import DataFolder
from deploy.local.environment import of_running
from tests.support.processes import processes_of, wait_until
from tests.support.stack import Stack, await_ready, data_folder, start_up

pytestmark = pytest.mark.e2e

USUAL_PORTS = (5432, 6379, 8001, 8002, 8003, 8004)
PERSON = {"email": "grace@example.com", "password": "a long enough sentence 7", "name": "Grace"}
GRACE = 20.0
"""Seconds that a process is given to stop before it is cut."""


@pytest.fixture
def usual_ports_taken() -> Iterator[None]:
    """Somebody listens wherever PostgreSQL, Redis and the services usually do: we, unless somebody does already."""
    with ExitStack() as listening:
        for port in USUAL_PORTS:
            with suppress(OSError):
                listening.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.fixture
def data() -> Iterator[Path]:
    with data_folder() as path:
        yield path


def place_of_log(stack: Stack) -> str:
    found = of_running(DataFolder(stack.data))
    assert found is not None
    return found.command["COMMAND_DATABASE_URL"]


def test_a_second_stack_runs_beside_the_first_and_shares_nothing_with_it(
    stack: Stack, data: Path, usual_ports_taken: None
) -> None:
    """The second one asks for the usual ports, which are all taken, and says which ones it takes instead."""
    with start_up(data, "--command-port", "8001", "--query-port", "8002") as process:
        second = await_ready(process)
        urls = {second.command_url, second.query_url, second.relay_url, second.projector_url}
        assert urls.isdisjoint({stack.command_url, stack.query_url, stack.relay_url, stack.projector_url})
        assert urls.isdisjoint({f"http://127.0.0.1:{port}" for port in USUAL_PORTS})
        assert place_of_log(second).rpartition("@")[2] != place_of_log(stack).rpartition("@")[2]
        assert set(second.pids().values()).isdisjoint(stack.pids().values())
        registered = [httpx2.post(f"{each.command_url}/v1/users", json=PERSON) for each in (second, stack)]
        assert [answer.status_code for answer in registered] == [201, 201], "each has an address book of its own"
        credentials, _, _ = place_of_log(second).rpartition("@")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"{credentials}@{place_of_log(stack).rpartition('@')[2]}")
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert "Port 8001 is taken; command listens on" in said
    noticed = [line for line in stack.twinlog("doctor").stdout.splitlines() if not line.startswith("fine ")]
    assert not noticed, "by the first one"


def test_a_stop_in_the_middle_of_a_request_lets_it_finish(data: Path) -> None:
    """The body arrives in two halves; in between the service has asked for it, and been told to stop."""
    with start_up(data) as process:
        stack = await_ready(process)
        body = json.dumps(PERSON).encode()
        host, _, port = stack.command_url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            head = f"POST /v1/users HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: "
            client.sendall(f"{head}{len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode())
            assert client.recv(65_536).startswith(b"HTTP/1.1 100 "), "the request is in the hands of the service"
            client.sendall(body[:10])
            began = time.monotonic()
            process.terminate()
            wait_until(lambda: "Shutting down" in stack.log("command"), "so is the request to stop", GRACE / 2)
            client.sendall(body[10:])
            answer = b"".join(iter(lambda: client.recv(65_536), b""))
        complaint = process.communicate(timeout=60)[1]
    assert answer.startswith(b"HTTP/1.1 201"), answer[:200]
    assert (process.returncode, complaint) == (0, "Stopped.\n")
    assert time.monotonic() - began < GRACE, "an idle stack needs no grace"


def test_a_process_that_hangs_is_cut_when_its_time_is_over(data: Path) -> None:
    with start_up(data) as process:
        stack = await_ready(process)
        os.kill(stack.pid_of("projector"), signal.SIGSTOP)
        began = time.monotonic()
        process.terminate()
        process.communicate(timeout=90)
        took = time.monotonic() - began
    assert process.returncode == 0
    assert GRACE <= took < GRACE + 40, "nobody waits for the kernel's last word"
    wait_until(lambda: not processes_of(data), "no process is left")
    with start_up(data) as process:
        assert httpx2.get(f"{await_ready(process).query_url}/readyz").status_code == 200
        process.terminate()
        process.communicate(timeout=60)
