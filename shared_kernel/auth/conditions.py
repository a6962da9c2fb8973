"""The closed registry of policy conditions; each is a pair that must mean the same: a predicate and an SQL fragment."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from shared_kernel.auth.principal import Principal

FALSE = "false"


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """What a condition may know of an object. `granted` are the caller's rights on it, such as "read" and "write"."""

    kind: str
    tenant: str
    owner: UUID | None = None
    state: str | None = None
    classification: str | None = None
    granted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Columns:
    """SQL expressions for an object's attributes, written by the query's author (never from a request).

    `tenant`, `state` and `classification` are text, `owner` is uuid, `granted` is text[]; NULL means what None means
    to a predicate, and an attribute left out is None in every row. `%(auth_user)s` and `%(auth_tenant)s` may be used.
    """

    tenant: str = "tenant"
    owner: str | None = None
    state: str | None = None
    classification: str | None = None
    granted: str | None = None


Predicate = Callable[[Principal, ObjectAttributes], bool]
Fragment = Callable[[Columns], str]


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` answers a boolean expression over the columns in which NULL means false; the caller is `%(auth_user)s`."""

    holds: Predicate
    sql: Fragment


def _granted(right: str) -> Condition:
    return Condition(
        holds=lambda _principal, obj: right in obj.granted,
        sql=lambda columns: f"'{right}' = ANY ({columns.granted})" if columns.granted else FALSE,
    )


def _either(*parts: Condition) -> Condition:
    return Condition(
        holds=lambda principal, obj: any(part.holds(principal, obj) for part in parts),
        sql=lambda columns: any_of(part.sql(columns) for part in parts),
    )


ANY = Condition(lambda _principal, _obj: True, lambda _columns: "true")
OWN = Condition(
    holds=lambda principal, obj: obj.owner == principal.user_id,
    sql=lambda columns: f"{columns.owner} = %(auth_user)s" if columns.owner else FALSE,
)
OPEN = Condition(
    holds=lambda _principal, obj: obj.classification in {"public", "internal"},
    sql=lambda columns: f"{columns.classification} IN ('public', 'internal')" if columns.classification else FALSE,
)
RESTRICTED = Condition(
    holds=lambda _principal, obj: obj.classification == "restricted",
    sql=lambda columns: f"{columns.classification} = 'restricted'" if columns.classification else FALSE,
)
ARCHIVED = Condition(
    holds=lambda _principal, obj: obj.state == "archived",
    sql=lambda columns: f"{columns.state} = 'archived'" if columns.state else FALSE,
)
READABLE = _granted("read")
WRITABLE = _granted("write")

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "any": ANY,
        "own": OWN,
        "open": OPEN,
        "restricted": RESTRICTED,
        "archived": ARCHIVED,
        "readable": READABLE,
        "writable": WRITABLE,
        "visible": _either(OPEN, OWN, READABLE, WRITABLE),
        "editable": _either(OWN, WRITABLE),
    }
)
"""By the name that a policy uses. "visible": public or internal, or owned or granted; "editable": owned or granted."""


def any_of(fragments: Iterable[str]) -> str:
    """The fragments joined by OR, in parentheses; those that are constantly false left out."""
    return f"({' OR '.join(dict.fromkeys(part for part in fragments if part != FALSE)) or FALSE})"
