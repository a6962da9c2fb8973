"""Who may do what at which route, written by hand from what the pair promises: no policy engine, none of its tables.

A right is a role and a condition on what the request is about. Everybody who is signed in is `*`; a second tenant's
things are not there, whoever asks. Nothing can be shared with others yet: a route for it fails until it stands here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.security.rights_of_routes import Right, Route

HOME, NEXT_DOOR = "default", "next-door"


class Outcome(StrEnum):
    """What a caller is told; refusals are called as their problem is."""

    PASSES = "passes"
    UNAUTHENTICATED = "unauthenticated"
    STEP_UP = "step-up-required"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"


class Proof(StrEnum):
    """How and when the caller showed who they are: by signing in or by a step-up, just now or six minutes ago."""

    SIGNED_IN = "signed in just now"
    SIGNED_IN_BEFORE = "signed in before"
    STEPPED_UP = "stepped up just now"
    STEPPED_UP_BEFORE = "stepped up before"


RECENT = frozenset({Proof.SIGNED_IN, Proof.STEPPED_UP})
ENOUGH: Mapping[str | None, frozenset[Proof]] = {
    None: frozenset(Proof),
    "recent": RECENT,
    "unless current": RECENT,
    "always": frozenset({Proof.STEPPED_UP}),
}


Added = Mapping[tuple[str, str], Sequence[Right]]
"""Which further rights tenants have laid down: by tenant and permission."""
NOTHING: Added = {}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks; `known` is False for a token that does not count, for whatever reason `name` gives."""

    name: str
    user: str = ""
    tenant: str = HOME
    roles: tuple[str, ...] = ()
    session: str = ""
    proof: Proof = Proof.SIGNED_IN_BEFORE
    known: bool = True

    def __str__(self) -> str:
        return f"{self.name} of {self.tenant} ({'+'.join(self.roles) or 'no role'}, {self.proof})"


@dataclass(frozen=True, slots=True)
class Thing:
    """What a request is about: `name` takes the place of the parameter in the path."""

    name: str
    owner: str | None = None
    state: str = "active"
    classification: str = ""
    tenant: str = HOME
    exists: bool = True

    def __str__(self) -> str:
        words = (self.state, self.classification, "there" if self.exists else "unknown", f"of {self.tenant}")
        return f"{self.name} ({' '.join(word for word in words if word)}, owner {self.owner})"


def expected(route: Route, caller: Caller, thing: Thing | None = None, added: Added = NOTHING) -> Outcome:
    if route.public:
        return Outcome.PASSES
    if route.machines or not caller.known:
        return Outcome.UNAUTHENTICATED
    rights = _rights(route, caller, added)
    if not _door(rights):
        return Outcome.FORBIDDEN
    signs_out = route.step_up == "unless current" and thing is not None and thing.name == caller.session
    if not signs_out and caller.proof not in ENOUGH[route.step_up]:
        return Outcome.STEP_UP
    return Outcome.PASSES if thing is None else _about(thing, rights, caller)


def _about(thing: Thing, rights: Iterable[Right], caller: Caller) -> Outcome:
    if not thing.exists or thing.tenant != caller.tenant:
        return Outcome.NOT_FOUND
    return Outcome.PASSES if _allowed(rights, caller, thing) else Outcome.FORBIDDEN


def shown(route: Route, caller: Caller, things: Iterable[Thing], added: Added = NOTHING) -> set[str]:
    """The names of those that a list holds for the caller."""
    rights = _rights(route, caller, added)
    return {
        thing.name
        for thing in things
        if thing.exists and thing.tenant == caller.tenant and _allowed(rights, caller, thing)
        if not route.own_only or thing.owner == caller.user
    }


def may(permission: str, caller: Caller, added: Added = NOTHING) -> bool:
    """Whether single fields are shown to the caller."""
    return expected(Route(permission, FIELDS[permission]), caller, None, added) is Outcome.PASSES


FIELDS: Mapping[str, tuple[Right, ...]] = {
    "accounts:read-suspension-reason": (Right("admin"),),
    "audit:read-personal": (Right("admin"), Right("auditor")),
}
"""What is redacted for others."""


def _rights(route: Route, caller: Caller, added: Added) -> Sequence[Right]:
    """Those that speak of this caller; what a tenant adds is nothing to its neighbours."""
    rights = (*route.rights, *added.get((caller.tenant, route.permission), ()))
    return [right for right in rights if right.role == "*" or right.role in caller.roles]


def _door(rights: Iterable[Right]) -> bool:
    """A route is open to whom there is something that they may do there."""
    words = [(right.effect, right.condition) for right in rights]
    return any(effect == "allow" for effect, _ in words) and ("deny", "any") not in words


def _allowed(rights: Iterable[Right], caller: Caller, thing: Thing) -> bool:
    return {right.effect for right in rights if _holds(right.condition, caller, thing)} == {"allow"}


def _holds(condition: str, caller: Caller, thing: Thing) -> bool:
    own = thing.owner is not None and thing.owner == caller.user
    known_to_all = thing.classification in {"public", "internal"}
    return {
        "any": True,
        "own": own,
        "open": known_to_all,
        "visible": known_to_all or own,
        "restricted": thing.classification == "restricted",
        "archived": thing.state == "archived",
    }[condition]
