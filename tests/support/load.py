"""Clients that keep sending commands through whatever happens, and the history of what they were told.

Each command has a key of its own and is repeated under it until it is acknowledged, as a careful client would.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx2

from tests.support.stack import Stack

PASSWORD = "winter-otter-plays-chess"
CLIENTS = 8
CHANGERS = 2
"""How many change what the others have created, each resources of its own."""

IN_A_ROW = 4
"""Changes of one resource after another, so that several of its events are under way at a time."""

RECENT = 10
PATIENCE = 60.0
"""Seconds within which a command must be acknowledged in the end."""

TRY_AGAIN = {409, 429, 503}
"""In flight, too fast, not now: the answers that ask for a repetition."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a resource must come to look like, after every change that was acknowledged."""

    version: int
    name: str
    tags: tuple[str, ...] = ()


@dataclass
class History:
    """What the clients know: `acknowledged` maps the name of a new resource to its id, `in_flight` are names sent now.

    `shown` tells by id how it must be shown in the end; `statuses` counts every answer.
    """

    acknowledged: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Shown] = field(default_factory=dict)
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
            self.shown[resource] = Shown(1, name)
            self.news.notify_all()

    @property
    def changes(self) -> int:
        """How many changes of what was created are acknowledged."""
        return sum(each.version - 1 for each in self.shown.values())

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
async def under_load(
    stack: Stack, author: Author, *, tokens_expire: bool = False, changing: bool = False
) -> AsyncIterator[History]:
    """Keep creating resources while the block runs; at its end every command that was begun is acknowledged.

    Where `changing`, others keep changing what was created. Clients sign in again when they hear 401 only where
    `tokens_expire`; else it counts as a refusal.
    """
    history, stop = History(), asyncio.Event()
    renew = Renewal(stack, author.email) if tokens_expire else None
    async with httpx2.AsyncClient(timeout=10, headers=author.headers) as http:
        sender = Sender(stack, http, history, renew)
        clients = [asyncio.create_task(_client(sender, stop)) for _ in range(CLIENTS)]
        if changing:
            clients += [asyncio.create_task(_changer(sender, stop, number)) for number in range(CHANGERS)]
        try:
            yield history
        finally:
            stop.set()
            await asyncio.gather(*clients)


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent until it is acknowledged with this status; `name` is unique."""

    name: str
    method: str
    path: str
    body: dict[str, Any]
    acknowledged_by: int
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends commands, each under a key of its own."""

    stack: Stack
    http: httpx2.AsyncClient
    history: History
    renew: Renewal | None

    async def __call__(self, command: Command) -> httpx2.Response | None:
        """The acknowledgement; None when it was refused, or did not come in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._repeat(command)
        except TimeoutError:
            await self.history.refuse(f"{command.name} was not acknowledged within {PATIENCE:g} s")
            return None

    async def _repeat(self, command: Command) -> httpx2.Response | None:
        headers = {"Idempotency-Key": str(uuid4()), "Content-Type": command.content_type}
        while True:
            answer = await self._send(command, headers)
            if answer is not None and answer.status_code == command.acknowledged_by:
                return answer
            if answer is not None and answer.status_code == 401 and self.renew is not None:
                await self.renew(self.http, answer.request.headers["Authorization"])
            elif answer is not None and answer.status_code not in TRY_AGAIN:
                await self.history.refuse(f"{answer.status_code} {answer.text}")
                return None
            self.history.repeated += 1
            await asyncio.sleep(0.05)

    async def _send(self, command: Command, headers: dict[str, str]) -> httpx2.Response | None:
        """The answer; None where it may have been carried out or not: the key tells."""
        self.history.in_flight.add(command.name)
        try:
            url = f"{self.stack.command_url}{command.path}"
            answer = await self.http.request(command.method, url, json=command.body, headers=headers)
        except httpx2.TransportError:
            return None
        finally:
            self.history.in_flight.discard(command.name)
        self.history.statuses[answer.status_code] += 1
        return answer


async def _client(send: Sender, stop: asyncio.Event) -> None:
    while not stop.is_set() and not send.history.refusals:
        name = f"load {uuid4()}"
        answer = await send(Command(name, "POST", "/v1/resources", {"name": name}, 201))
        if answer is not None:
            await send.history.acknowledge(name, answer.json()["id"])


async def _changer(send: Sender, stop: asyncio.Event, number: int) -> None:
    while not stop.is_set() and not send.history.refusals:
        mine = list(send.history.shown)[number::CHANGERS][-RECENT:]
        one = random.choice(mine) if mine else None  # noqa: S311 - no secret is made of it
        for _ in range(IN_A_ROW if one else 0):
            await _change(send, str(one))
        await asyncio.sleep(0.01)


async def _change(send: Sender, resource: str) -> None:
    """Another name, or another tag; it must be the next version and no other."""
    before, unique = send.history.shown[resource], uuid4()
    after = replace(before, version=before.version + 1)
    if before.version % 2:
        after = replace(after, name=f"load {unique}")
        body: dict[str, Any] = {"name": after.name}
    else:
        after = replace(after, tags=(f"t{unique.hex}",))
        body = {"tags": list(after.tags)}
    path, kind = f"/v1/resources/{resource}", "application/merge-patch+json"
    answer = await send(Command(f"load {unique}", "PATCH", path, body, 200, kind))
    if answer is None:
        return
    send.history.shown[resource] = after
    if answer.json()["version"] != after.version:
        await send.history.refuse(f"{resource} is at {answer.json()['version']}, its changes make {after.version}")
