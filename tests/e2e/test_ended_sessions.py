"""An ended session bites at both services within a second, whatever else goes wrong at that moment."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx2
import pytest
from jose import jwt
from redis import Redis

from tests.support.aftermath import until_ready
from tests.support.load import Author, sign_up
from tests.support.stack import Stack
from tests.support.waiting import eventually

WITHIN = 1.0
WATCHED = 2.5


def flush(stack: Stack) -> None:
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    with Redis.from_url(kept["query"]["REDIS_URL"]) as client:
        client.flushall()


@contextmanager
def frozen(stack: Stack, name: str | None) -> Iterator[None]:
    """A process that is there and does nothing."""
    if name is None:
        yield
        return
    pid = stack.pid_of(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def kill(stack: Stack, name: str) -> None:
    killed = stack.pid_of(name)
    os.kill(killed, signal.SIGKILL)
    await eventually(lambda: stack.pids()[name] not in {0, killed}, f"another {name}")


async def status_of(http: httpx2.AsyncClient, stack: Stack, who: Author) -> set[int]:
    """What a command and a question are answered; 0 for a process that does not."""
    found = set()
    for method, url, body in (
        ("POST", f"{stack.command_url}/v1/resources", {"name": f"by {uuid4()}"}),
        ("GET", f"{stack.query_url}/v1/me/sessions", None),
    ):
        try:
            found.add((await http.request(method, url, json=body, headers=who.headers)).status_code)
        except httpx2.TransportError:
            found.add(0)
    return found


async def sign_out(http: httpx2.AsyncClient, stack: Stack, who: Author) -> None:
    session = jwt.get_unverified_claims(who.token)["sid"]
    ended = await http.delete(f"{stack.command_url}/v1/sessions/{session}", headers=who.headers)
    assert ended.status_code == 200, ended.text


async def watch(http: httpx2.AsyncClient, stack: Stack, who: Author) -> set[int]:
    """Every answer from a second after the session's end on."""
    await asyncio.sleep(WITHIN)
    found: set[int] = set()
    loop = asyncio.get_running_loop()
    until = loop.time() + WATCHED
    while loop.time() < until:
        found |= await status_of(http, stack, who)
    return found


@pytest.mark.asvs("V7.4.1")
@pytest.mark.parametrize("still", [None, "valkey", "projector", "relay"])
async def test_session_is_refused_everywhere_within_a_second_whoever_stands_still(
    stack: Stack, still: str | None
) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        ada = await sign_up(stack, http)
        assert await status_of(http, stack, ada) == {200, 201}
        with frozen(stack, still):
            await sign_out(http, stack, ada)
            seen = await watch(http, stack, ada)
        assert seen == {401}
    await until_ready(stack)


async def test_ended_session_stays_ended_when_redis_is_wiped_and_processes_are_new(stack: Stack) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        ada = await sign_up(stack, http)
        flush(stack)
        await sign_out(http, stack, ada)
        flush(stack)
        assert await watch(http, stack, ada) == {401}
        for name in ("query", "command"):
            await kill(stack, name)
            assert await watch(http, stack, ada) <= {401, 503, 0}
            await until_ready(stack)
            assert await status_of(http, stack, ada) == {401}, "also once both know and answer"
    await until_ready(stack)
