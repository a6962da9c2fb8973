"""Sessions are ended in every way there is while Redis is emptied again and again: do their tokens still count?"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx2
from jose import jwt
from redis.asyncio import Redis

from shared_kernel.background import end
from tests.e2e.test_changing_policies import people
from tests.support.load import PASSWORD, Author
from tests.support.stack import Stack
from tests.support.workers import Workers, redis_url_of

WITHIN = 1.0
"""Seconds within which an ended session is of no use anywhere."""
WATCHED = 2.5
"""Seconds for which its tokens are tried after that."""
FLUSH_EVERY = 0.1
LOOKS = 20
NEVER_THERE = {"If-Match": '"4711"'}
"""So that a command that is let in changes nothing: there is no such version."""
ANSWERS: Mapping[int, str] = {200: "accepted", 412: "accepted", 401: "refused", 503: "not known just now"}


@dataclass(frozen=True, slots=True)
class Token:
    """What a sign-in brought."""

    access: str
    refresh: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    @property
    def session(self) -> str:
        return str(jwt.get_unverified_claims(self.access)["sid"])


@dataclass(slots=True)
class Findings:
    """`uses` counts what revoked tokens were answered from a second after the end was acknowledged; `accepted` says
    more of those that counted. `bystander` is somebody whose session goes on. `latest` is the last use after an end.
    """

    revoked: Counter[str] = field(default_factory=Counter)
    uses: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    bystander: Counter[str] = field(default_factory=Counter)
    flushes: int = 0
    latest: float = 0.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """Everybody is of one tenant, so that its administrator can suspend them."""

    workers: Workers
    http: httpx2.AsyncClient
    redis: Redis
    tenant: str
    admin: Author
    bystander: Author
    findings: Findings = field(default_factory=Findings)

    @property
    def command(self) -> str:
        return self.workers.commands[0]

    async def round(self, sessions: int) -> None:
        """A person with so many sessions for each way of ending them, tried until well after the end."""
        everybody = [await self._person(sessions) for _ in WAYS]
        for token in (each for tokens in everybody for each in tokens):
            assert {await self.tried_at(place, token.headers) for place in self.places} == {"accepted"}
        async with self._emptied():
            trials = [asyncio.create_task(self._stand_by())]
            for (way, end_by), tokens in zip(WAYS.items(), everybody, strict=True):
                ended = await end_by(self, tokens)
                self.findings.revoked[way] += len(ended)
                trials += [asyncio.create_task(self._try(way, token, time.monotonic())) for token in ended]
            await asyncio.gather(*trials)

    @property
    def places(self) -> tuple[str, ...]:
        return self.workers.commands + self.workers.queries

    async def tried_at(self, place: str, headers: Mapping[str, str]) -> str:
        """In words, what a token is answered by one worker."""
        method, path = ("PATCH", "/v1/me") if place in self.workers.commands else ("GET", "/v1/me/sessions")
        body = {"name": "Somebody"} if method == "PATCH" else None
        answer = await self.http.request(method, place + path, json=body, headers={**headers, **NEVER_THERE})
        return ANSWERS.get(answer.status_code, answer.text)

    def service_at(self, place: str) -> str:
        return "command" if place in self.workers.commands else "query"

    async def done(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> None:
        answer = await self.http.request(method, self.command + path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    async def revoked(self, token: str) -> None:
        answer = await self.http.post(f"{self.command}/v1/token/revoke", data={"token": token})
        assert answer.status_code == 200, answer.text

    async def _try(self, way: str, token: Token, ended: float) -> None:
        """Use a token at every worker until it has been of no use for long enough."""
        while time.monotonic() < ended + WITHIN + WATCHED:
            for place in self.places:
                after = time.monotonic() - ended
                said = await self.tried_at(place, token.headers)
                if said == "accepted":
                    self.findings.latest = max(self.findings.latest, after)
                if after >= WITHIN:
                    self.findings.uses[f"{self.service_at(place)}: {said}"] += 1
                if said == "accepted" and after >= WITHIN:
                    self.findings.accepted.append(f"{self.service_at(place)}, {after:.2f} s after: {way}")
            await asyncio.sleep(0.05)

    async def _stand_by(self) -> None:
        """So that it would show if nobody were let in at all."""
        for place in self.places * LOOKS:
            said = await self.tried_at(place, self.bystander.headers)
            self.findings.bystander[f"{self.service_at(place)}: {said}"] += 1
            await asyncio.sleep(WATCHED / LOOKS / len(self.places))

    @asynccontextmanager
    async def _emptied(self) -> AsyncIterator[None]:
        """While the block runs, Redis forgets everything several times a second. Raises why it did not."""
        emptying = asyncio.create_task(self._empty())
        try:
            yield
            if emptying.done():
                emptying.result()
        finally:
            await end(emptying)

    async def _empty(self) -> None:
        while True:
            await self.redis.flushall()
            self.findings.flushes += 1
            await asyncio.sleep(FLUSH_EVERY)

    async def _person(self, sessions: int) -> list[Token]:
        email = f"{uuid4().hex}@example.com"
        body, headers = {"email": email, "password": PASSWORD, "name": "Somebody"}, {"Tenant": self.tenant}
        registered = await self.http.post(f"{self.command}/v1/users", json=body, headers=headers)
        assert registered.status_code == 201, registered.text
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        answers = [
            (await self.http.post(f"{self.command}/v1/token", data=form, headers=headers)).json()
            for _ in range(sessions)
        ]
        return [Token(answer["access_token"], answer["refresh_token"]) for answer in answers]


async def each_by_itself(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    for token in tokens:
        await campaign.done("DELETE", f"/v1/sessions/{token.session}", None, token.headers)
    return tokens


async def with_its_refresh_token(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    for token in tokens:
        await campaign.revoked(token.refresh)
    return tokens


async def with_its_access_token(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    for token in tokens:
        await campaign.revoked(token.access)
    return tokens


async def all_others(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    await campaign.done("DELETE", "/v1/sessions", None, tokens[0].headers)
    return tokens[1:]


async def by_another_password(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    body = {"current_password": PASSWORD, "new_password": "summer-heron-reads-maps"}
    await campaign.done("PUT", "/v1/me/password", body, tokens[0].headers)
    return tokens[1:]


async def by_suspension(campaign: Campaign, tokens: Sequence[Token]) -> Sequence[Token]:
    user = jwt.get_unverified_claims(tokens[0].access)["sub"]
    await campaign.done("PUT", f"/v1/users/{user}/suspension", {"reason": "because"}, campaign.admin.headers)
    return tokens


WAYS: Mapping[str, Callable[[Campaign, Sequence[Token]], Awaitable[Sequence[Token]]]] = {
    way.__name__.replace("_", " "): way
    for way in (
        each_by_itself,
        with_its_refresh_token,
        with_its_access_token,
        all_others,
        by_another_password,
        by_suspension,
    )
}
"""How sessions end; each answers with the tokens of those that it has ended."""


async def campaign(stack: Stack, workers: Workers, tokens: int, sessions: int) -> Findings:
    """Rounds until at least so many tokens have been revoked."""
    async with httpx2.AsyncClient(timeout=20) as http, Redis.from_url(redis_url_of(stack)) as redis:
        findings = Findings()
        while findings.revoked.total() < tokens:
            tenant = f"t{uuid4().hex[:12]}"
            admin, bystander = await people(stack, http, tenant)
            await Campaign(workers, http, redis, tenant, admin, bystander, findings).round(sessions)
    return findings
