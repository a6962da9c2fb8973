"""Requests of every kind of caller, held against the oracle: what differs is kept in words."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx2

from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from tests.security.oracle import HOME, NEXT_DOOR, Added, Caller, Outcome, Proof, Thing

ROLES = ("member", "operator", "auditor", "admin")
ROLE_SETS: tuple[tuple[str, ...], ...] = ((), *((role,) for role in ROLES), *(("member", role) for role in ROLES[1:]))
"""Each alone, although everybody is a member: so that it shows what a role brings by itself."""

CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
STATES = ("active", "archived")
FORGED = ("no token", "no JWT", "expired", "not yet valid", "signed by a stranger", "for another audience")
ENDED, SUSPENDED = "whose session has ended", "who is suspended"
"""Why a token does not count, though it says a lot: made up, or somebody really got it."""

Ask = Callable[[], Awaitable[None]]

AT_ONCE = 16
SHOWN = 4
"""How many differing answers of one route are told."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Ids of who asks, with her session, and of somebody of the tenant next door."""

    ada: str
    eve: str
    session: str

    def people(self, proofs: Iterable[Proof]) -> Iterator[Caller]:
        """With every set of roles: Ada with each proof; next door Eve and somebody with Ada's id, with the best."""
        for roles in ROLE_SETS:
            for proof in proofs:
                yield Caller("Ada", self.ada, HOME, roles, self.session, proof)
            yield Caller("Eve", self.eve, NEXT_DOOR, roles, str(uuid4()), Proof.STEPPED_UP)
            yield Caller("Ada's double", self.ada, NEXT_DOOR, roles, self.session, Proof.STEPPED_UP)

    def strangers(self, *further: str) -> Iterator[Caller]:
        """Whose token does not count, though it says that they are an administrator who has just stepped up."""
        for name in (*FORGED, *further):
            yield Caller(name, self.ada, HOME, ROLES, self.session, Proof.STEPPED_UP, known=False)


@dataclass(slots=True)
class Credentials:
    """Access tokens of callers; `given` are those that somebody really got."""

    signer: TokenSigner
    given: dict[str, str] = field(default_factory=dict)
    _made: dict[Caller, dict[str, str]] = field(default_factory=dict)

    def of(self, caller: Caller) -> dict[str, str]:
        """The headers with which the caller asks."""
        if caller not in self._made:
            token = self.given.get(caller.name) or self._token(caller)
            self._made[caller] = {} if caller.name == "no token" else {"Authorization": f"Bearer {token}"}
        return self._made[caller]

    def _token(self, caller: Caller) -> str:
        now = datetime.now(UTC)
        before = caller.proof in {Proof.SIGNED_IN_BEFORE, Proof.STEPPED_UP_BEFORE}
        stepped_up = caller.proof in {Proof.STEPPED_UP, Proof.STEPPED_UP_BEFORE}
        user, session = UUID(caller.user), UUID(caller.session)
        proven = int(now.timestamp()) - (360 if before else 0)
        acr = "elevated" if stepped_up else "pwd"
        principal = Principal(user, caller.tenant, session, caller.roles, acr, proven)
        return self._signed(caller.name, principal, now)

    def _signed(self, name: str, principal: Principal, now: datetime) -> str:
        if name == "no JWT":
            return "an-ordinary-word"
        signer = self.signer
        if name == "signed by a stranger":
            signer = TokenSigner(SigningKey.from_pem(SigningKey.generate_pem()))
        if name == "for another audience":
            signer = TokenSigner(signer._keys, audience="another-api")
        moved = {"expired": timedelta(minutes=-11), "not yet valid": timedelta(minutes=5)}
        return signer.sign(principal, jti=str(uuid4()), now=now + moved.get(name, timedelta()))


@dataclass(frozen=True, slots=True)
class Case:
    """Who asks what about what, where tenants have added these rights."""

    route: str
    caller: Caller
    thing: Thing | None = None
    added: Added = field(default_factory=dict)


@dataclass(slots=True)
class Sheet:
    """How many requests were held against the oracle, and which answers it did not expect."""

    asked: int = 0
    passed: int = 0
    differing: dict[str, list[str]] = field(default_factory=dict)

    def compare(self, case: Case, wanted: Outcome, found: str) -> None:
        """`found` is an outcome, or whatever else was answered."""
        self.asked += 1
        self.passed += wanted is Outcome.PASSES
        if found != wanted:
            self.note(case, f"{found}, and not {wanted}")

    def note(self, case: Case, what: str) -> None:
        where = f" where {dict(case.added)} is added" if case.added else ""
        line = f"{case.route} about {case.thing} by {case.caller}{where}: {what}"
        self.differing.setdefault(case.route, []).append(line)

    def require_agreement(self) -> None:
        count = sum(map(len, self.differing.values()))
        shown = "\n".join(line for lines in self.differing.values() for line in lines[:SHOWN])
        assert not self.differing, f"{count} of {self.asked} answers are not the oracle's:\n{shown}"
        assert 0 < self.passed < self.asked, "a matrix in which nobody is let in, or nobody refused, shows nothing"


def outcome_of(answer: httpx2.Response, passing: int) -> str:
    """The outcome that an answer is, or what else it is; `passing` is the status of a request that was let in."""
    if answer.status_code == passing:
        return Outcome.PASSES
    body = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
    return str(body["code"]) if body.get("code") in set(Outcome) else f"{answer.status_code} {answer.text[:200]}"


async def all_of(asks: Iterable[Ask]) -> None:
    """A few at a time, so that databases work while we do."""
    rest = iter(asks)

    async def work() -> None:
        for ask in rest:
            await ask()

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
