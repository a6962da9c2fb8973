"""A tenant's policies and an administrator's role change while people ask every worker: which decisions were wrong?"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar
from uuid import uuid4

import httpx2

from shared_kernel.background import end
from tests.e2e.deputy import ROLE, Deputy, deputy_in
from tests.e2e.test_changing_policies import add, people, remove, sign_in
from tests.support.load import Author, sign_up
from tests.support.stack import Stack
from tests.support.workers import Workers

WITHIN = 1.0
"""Seconds within which every worker decides by a change."""
ASKING = 8
PROVES_AGAIN_AFTER = 200.0
"""Seconds; whoever changes policies must have signed in within the last 300."""

LONGEST = 2.5
"""Seconds for which what comes and goes stays as it is: often longer than a change may take to be heard."""
NEXT_DOOR = 0.1
"""Which share of the questions is somebody else's."""
NOT_CONCERNED = "of another tenant"
NO_SUCH_VERSION = {"If-Match": '"4711"'}
"""So that what is allowed changes nothing."""

OWN_ROLE = f"/v1/users/{{deputy}}/roles/{ROLE}"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """`allowed` is the status of a request that was let in; it is `always` or never, or by what `changes`.

    What changes may be a permission, or the role of the deputy, who asks then.
    """

    name: str
    method: str
    path: str
    allowed: int
    body: object = None
    always: bool = False
    changes: str | None = None

    @property
    def refused(self) -> frozenset[int]:
        return frozenset({401, 403} if self.changes == ROLE else {403})


QUESTIONS = {
    "command": (
        Question("right that nobody touches", "PATCH", "/v1/me", 412, {"name": "Somebody"}, always=True),
        Question("right denied for good", "DELETE", "/v1/sessions", 412),
        Question("right that comes and goes", "POST", "/v1/resources", 422, {"": ""}, changes="resources:create"),
        Question("role that comes and goes, asked for by who lost it", "PUT", OWN_ROLE, 412, changes=ROLE),
    ),
    "query": (
        Question("right that nobody touches", "GET", "/v1/me/sessions", 200, always=True),
        Question("right denied for good", "GET", "/v1/events", 200),
        Question("right that comes and goes", "GET", "/v1/resources", 200, changes="resources:read"),
        Question("role that comes and goes", "GET", "/v1/policies", 200, changes=ROLE),
    ),
}
FOR_GOOD = ("sessions:end", "audit:read")
COMES_AND_GOES = ("resources:create", "resources:read")
IDLE = tuple(
    {"role": role, "permission": permission, "condition": condition, "effect": effect}
    for role in ("operator", "auditor")
    for permission in ("resources:change", "resources:archive", "resources:restore")
    for condition in ("own", "open", "restricted", "archived")
    for effect in ("allow", "deny")
)
"""Rules that say nothing of anybody who asks: each puts all rules of the tenant in force anew."""


@dataclass(slots=True)
class Change:
    """From `sent` on a permission may be, and a second after it was `known` it must be, as `allowed` says."""

    allowed: bool
    sent: float
    known: float = float("inf")


@dataclass(slots=True)
class Findings:
    """`latest` is how long after a change was accepted a decision by the rules before it was still made.

    `settled` counts the decisions about what comes and goes that could be right in one way alone.
    """

    decisions: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    undecided: Counter[int] = field(default_factory=Counter)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    reloads: int = 0
    settled: int = 0
    latest: float = 0.0

    def judge(self, place: str, question: Question, answer: httpx2.Response, asked: float, *, next_door: bool) -> None:
        """Count what was decided about a question that was asked at this moment."""
        if answer.status_code not in {*question.refused, question.allowed}:
            self.undecided[answer.status_code] += 1
            return
        allowed = answer.status_code == question.allowed
        self.decisions[f"{place}: {NOT_CONCERNED if next_door else question.name}"] += 1
        if next_door or question.changes is None:
            right = allowed is (next_door or question.always)
        else:
            right = self._could_be(question.changes, allowed, asked, time.monotonic())
        if not right:
            self.wrong.append(f"{place}: {question.name} was answered {answer.status_code}")

    def _could_be(self, changes: str, allowed: bool, asked: float, answered: float) -> bool:
        """Whether the rules of some moment from a second before the question to its answer decide like this."""
        begun = [change for change in self.changes.get(changes, ()) if change.sent <= answered]
        history = [Change(allowed=True, sent=0.0, known=0.0), *begun]
        newest = history[-1]
        if newest.allowed is not allowed and newest.known <= asked:
            self.latest = max(self.latest, asked - newest.known)
        settled = max(number for number, change in enumerate(history) if change.known <= asked - WITHIN)
        self.settled += 0 < settled == len(history) - 1
        return any(change.allowed is allowed for change in history[settled:])


@dataclass(slots=True)
class Administrator:
    """Changes the rules of a tenant; signs in anew often enough to be trusted with it."""

    stack: Stack
    http: httpx2.AsyncClient
    tenant: str
    who: Author
    since: float = field(default_factory=time.monotonic)

    async def add(self, rule: dict[str, str]) -> str:
        return await add(self.http, self.stack, await self._proven(), rule)

    async def remove(self, policy: str) -> None:
        await remove(self.http, self.stack, await self._proven(), policy)

    async def change_role(self, method: str, user_id: str) -> None:
        path = f"{self.stack.command_url}/v1/users/{user_id}/roles/{ROLE}"
        answer = await self.http.request(method, path, headers=(await self._proven()).headers)
        assert answer.status_code == 200, answer.text

    async def _proven(self) -> Author:
        if time.monotonic() - self.since > PROVES_AGAIN_AFTER:
            token = await sign_in(self.stack, self.http, self.tenant, self.who.email)
            self.who, self.since = Author(self.who.user_id, token, self.who.email), time.monotonic()
        return self.who


@dataclass(frozen=True, slots=True)
class Campaign:
    """Ada asks every worker while her tenant's rules change; somebody next door, whom they do not concern, asks too.

    The deputy asks with the token of when they were last made an administrator.
    """

    workers: Workers
    http: httpx2.AsyncClient
    chance: Random
    pauses: Random
    administrator: Administrator
    ada: Author
    neighbour: Author
    deputy: Deputy
    findings: Findings = field(default_factory=Findings)

    async def run(self, decisions: int, seconds: float) -> Findings:
        """For at least so many decisions and so long. Raises why the rules could not be changed."""
        for permission in FOR_GOOD:
            await self.administrator.add(denial(permission))
        await asyncio.sleep(WITHIN)
        changing = [asyncio.create_task(work()) for work in (self._idle, self._coming_and_going, self._deputising)]
        until = time.monotonic() + seconds
        try:
            await asyncio.gather(*(self._ask(decisions, until, changing) for _ in range(ASKING)))
            for task in changing:
                if task.done():
                    task.result()
        finally:
            await end(*changing)
        return self.findings

    async def _idle(self) -> None:
        while True:
            await self.administrator.remove(await self.administrator.add(self.chance.choice(IDLE)))
            self.findings.reloads += 2

    async def _coming_and_going(self) -> None:
        while True:
            policies = {each: await self._noted(each, self.administrator.add(denial(each))) for each in COMES_AND_GOES}
            await asyncio.sleep(self.pauses.uniform(0, LONGEST))
            for permission, policy in policies.items():
                await self._noted(permission, self.administrator.remove(policy))
            await asyncio.sleep(self.pauses.uniform(0, LONGEST))

    async def _deputising(self) -> None:
        while True:
            await self._noted(ROLE, self.administrator.change_role("DELETE", self.deputy.user_id))
            await asyncio.sleep(self.chance.uniform(1.5 * WITHIN, LONGEST))  # else nobody asks once it must be refused
            await self._noted(ROLE, self._deputised())
            await asyncio.sleep(self.chance.uniform(0, LONGEST))

    async def _deputised(self) -> None:
        await self.administrator.change_role("PUT", self.deputy.user_id)
        await self.deputy.renew()

    async def _noted(self, what: str, change: Awaitable[T]) -> T:
        """Carry a change of what comes and goes out, and keep when."""
        changes = self.findings.changes.setdefault(what, [])
        note = Change(allowed=len(changes) % 2 == 1, sent=time.monotonic())
        changes.append(note)
        made = await change
        note.known = time.monotonic()
        self.findings.reloads += what != ROLE
        return made

    async def _ask(self, decisions: int, until: float, changing: Sequence[asyncio.Task[None]]) -> None:
        places = [("command", url) for url in self.workers.commands] + [("query", url) for url in self.workers.queries]
        while self.findings.decisions.total() < decisions or time.monotonic() < until:
            if any(task.done() for task in changing):
                return
            place, url = self.chance.choice(places)
            question = self.chance.choice(QUESTIONS[place])
            next_door = question.changes != ROLE and self.chance.random() < NEXT_DOOR
            who = self.deputy if question.changes == ROLE else self.neighbour if next_door else self.ada
            path = url + question.path.format(deputy=self.deputy.user_id)
            asked = time.monotonic()
            answer = await self.http.request(
                question.method, path, json=question.body, headers={**who.headers, **NO_SUCH_VERSION}
            )
            self.findings.judge(place, question, answer, asked, next_door=next_door)


def denial(permission: str) -> dict[str, str]:
    return {"role": "member", "permission": permission, "effect": "deny"}


async def campaign(stack: Stack, workers: Workers, decisions: int, seed: int, seconds: float) -> Findings:
    """At least so many decisions, for at least so long, by workers whose rules change meanwhile."""
    async with httpx2.AsyncClient(timeout=20) as http:
        tenant = f"t{uuid4().hex[:12]}"
        admin, ada = await people(stack, http, tenant)
        neighbour, deputy = await sign_up(stack, http), await deputy_in(stack, http, tenant)
        administrator = Administrator(stack, http, tenant, admin)
        await administrator.change_role("PUT", deputy.user_id)
        await deputy.renew()
        chance, pauses = (Random(seed) for _ in range(2))  # noqa: S311 - repeatable by its seed, and no secret
        whole = Campaign(workers, http, chance, pauses, administrator, ada, neighbour, deputy)
        return await whole.run(decisions, seconds)
