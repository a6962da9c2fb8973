"""Keys of access tokens are rotated on a running pair: a new one signs, old tokens live on, and nobody is refused."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
from jose import jwt

from shared_kernel.auth.jwks import MIN_INTERVAL
from tests.support.load import Author, sign_in, sign_up
from tests.support.stack import Stack
from tests.support.waiting import eventually

LEAD = int(MIN_INTERVAL) + 2
"""Seconds: as short as it may be when the query API has read the keys an instant before."""
CLIENTS = 8


@dataclass
class Seen:
    """What the clients met: answers by status, and the keys of their tokens."""

    statuses: Counter[int] = field(default_factory=Counter)
    kids: set[str] = field(default_factory=set)


async def test_rotation_under_load_refuses_no_request(stack: Stack) -> None:
    async with httpx2.AsyncClient(timeout=30) as http:
        *authors, bystander = [await sign_up(stack, http) for _ in range(CLIENTS + 1)]
        first = jwt.get_unverified_header(bystander.token)["kid"]
        async with clients(stack, http, authors) as seen:
            new = rotated(stack, "--lead", str(LEAD))[0]
            assert (new["state"], new["kid"]) != ("current", first)
            await eventually(lambda: new["kid"] in seen.kids, "a token of the new key", LEAD + 30)
            before = seen.statuses.total()
            await eventually(lambda: seen.statuses.total() > before + 10 * CLIENTS, "answers after the turn")
        assert set(seen.statuses) == {200, 201}
        assert seen.kids == {first, new["kid"]}
        assert await statuses(stack, http, bystander.token) == [201, 200], "the old key's token lives on"


def rotated(stack: Stack, *words: str) -> list[dict[str, str]]:
    done = stack.twinlog("keys", "rotate", "--json", *words)
    assert done.returncode == 0, done.stderr
    keys: list[dict[str, str]] = json.loads(done.stdout)["keys"]
    return keys


@asynccontextmanager
async def clients(stack: Stack, http: httpx2.AsyncClient, authors: Sequence[Author]) -> AsyncIterator[Seen]:
    """All at once, without a pause: each signs in again and again, and uses each token at once at both services."""
    seen, stop = Seen(), asyncio.Event()

    async def work(author: Author) -> None:
        while not stop.is_set():
            token = await sign_in(stack, http, author.email)
            seen.kids.add(jwt.get_unverified_header(token)["kid"])
            seen.statuses.update(await statuses(stack, http, token))

    async with asyncio.TaskGroup() as group:
        for author in authors:
            group.create_task(work(author))
        try:
            yield seen
        finally:
            stop.set()


async def statuses(stack: Stack, http: httpx2.AsyncClient, token: str) -> list[int]:
    """What a command and a question are answered."""
    headers = {"Authorization": f"Bearer {token}"}
    body = {"name": f"by {uuid4()}"}
    command = await http.post(f"{stack.command_url}/v1/resources", json=body, headers=headers)
    question = await http.get(f"{stack.query_url}/v1/me/sessions", headers=headers)
    return [command.status_code, question.status_code]
