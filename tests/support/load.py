"""Clients that keep sending commands through whatever happens, and the history of what they were told.

Each command has a key of its own and is repeated under it until it is acknowledged, as a careful client would.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2

from tests.support.stack import Stack

PASSWORD = "winter-otter-plays-chess"
CLIENTS = 8
PATIENCE = 60.0
"""Seconds within which a command must be acknowledged in the end."""

TRY_AGAIN = {409, 429, 503}
"""In flight, too fast, not now: the answers that ask for a repetition."""


@dataclass
class History:
    """What the clients know: `acknowledged` maps the name of a resource to its id, `in_flight` are names sent now.

    `statuses` counts every answer.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    repeated: int = 0
    refusals: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def reach(self, count: int) -> None:
        """Wait until so many commands are acknowledged."""
        async with asyncio.timeout(PATIENCE), self.news:
            await self.news.wait_for(lambda: len(self.acknowledged) >= count or self.refusals)
        assert not self.refusals, self.refusals

    async def acknowledge(self, name: str, resource: str) -> None:
        async with self.news:
            self.acknowledged[name] = resource
            self.news.notify_all()

    async def refuse(self, why: str) -> None:
        async with self.news:
            self.refusals.append(why)
            self.news.notify_all()


@dataclass(frozen=True, slots=True)
class Author:
    """A signed-in person whose resources the load consists of."""

    user_id: str
    token: str
    email: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


async def sign_up(stack: Stack, http: httpx2.AsyncClient) -> Author:
    """Register and sign in, in the default tenant."""
    email = f"{uuid4().hex}@example.com"
    body = {"email": email, "password": PASSWORD, "name": "Load"}
    registered = await http.post(f"{stack.command_url}/v1/users", json=body)
    assert registered.status_code == 201, registered.text
    return Author(registered.json()["id"], await sign_in(stack, http, email), email)


async def sign_in(stack: Stack, http: httpx2.AsyncClient, email: str) -> str:
    """A new access token."""
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    signed_in = await http.post(f"{stack.command_url}/v1/token", data=form)
    assert signed_in.status_code == 200, signed_in.text
    return str(signed_in.json()["access_token"])


@dataclass(frozen=True, slots=True)
class Renewal:
    """One new token for all clients that heard the old one refused."""

    stack: Stack
    email: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, http: httpx2.AsyncClient, refused: str) -> None:
        async with self.turn:
            if http.headers["Authorization"] == refused:
                http.headers["Authorization"] = f"Bearer {await sign_in(self.stack, http, self.email)}"


@asynccontextmanager
async def under_load(stack: Stack, author: Author, *, tokens_expire: bool = False) -> AsyncIterator[History]:
    """Keep creating resources while the block runs; at its end every command that was begun is acknowledged.

    Clients sign in again when they hear 401 only where `tokens_expire`; else it counts as a refusal.
    """
    history, stop = History(), asyncio.Event()
    renew = Renewal(stack, author.email) if tokens_expire else None
    async with httpx2.AsyncClient(timeout=10, headers=author.headers) as http:
        clients = [asyncio.create_task(_client(stack, http, history, stop, renew)) for _ in range(CLIENTS)]
        try:
            yield history
        finally:
            stop.set()
            await asyncio.gather(*clients)


async def _client(
    stack: Stack, http: httpx2.AsyncClient, history: History, stop: asyncio.Event, renew: Renewal | None
) -> None:
    while not stop.is_set() and not history.refusals:
        name = f"load {uuid4()}"
        try:
            async with asyncio.timeout(PATIENCE):
                await _create(stack, http, history, name, renew)
        except TimeoutError:
            await history.refuse(f"{name} was not acknowledged within {PATIENCE:g} s")


async def _create(stack: Stack, http: httpx2.AsyncClient, history: History, name: str, renew: Renewal | None) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    while True:
        answer = await _send(stack, http, history, name, key)
        if answer is not None and answer.status_code == 201:
            await history.acknowledge(name, answer.json()["id"])
            return
        if answer is not None and answer.status_code == 401 and renew is not None:
            await renew(http, answer.request.headers["Authorization"])
        elif answer is not None and answer.status_code not in TRY_AGAIN:
            await history.refuse(f"{answer.status_code} {answer.text}")
            return
        history.repeated += 1
        await asyncio.sleep(0.05)


async def _send(
    stack: Stack, http: httpx2.AsyncClient, history: History, name: str, key: dict[str, str]
) -> httpx2.Response | None:
    """The answer; None where it may have been carried out or not: the key tells."""
    history.in_flight.add(name)
    try:
        answer = await http.post(f"{stack.command_url}/v1/resources", json={"name": name}, headers=key)
    except httpx2.TransportError:
        return None
    finally:
        history.in_flight.discard(name)
    history.statuses[answer.status_code] += 1
    return answer
