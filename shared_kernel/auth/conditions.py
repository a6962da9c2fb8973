"""The closed registry of policy conditions; each is a pair that must mean the same: a predicate and an SQL fragment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from shared_kernel.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """What a condition may know of an object. `granted` are the caller's rights on it, such as "read" and "write"."""

    kind: str
    tenant: str
    owner: UUID | None = None
    state: str | None = None
    classification: str | None = None
    granted: frozenset[str] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Columns:
    """SQL expressions for the attributes of an object, written by the query's author (never from a request).

    `tenant`, `state` and `classification` are text, `owner` is uuid, `granted` is text[]; NULL means as None does.
    The placeholders `%(auth_user)s` and `%(auth_tenant)s` may be used in them.
    """

    tenant: str = "tenant"
    owner: str = "NULL::uuid"
    state: str = "NULL::text"
    classification: str = "NULL::text"
    granted: str = "NULL::text[]"


Predicate = Callable[[Principal, ObjectAttributes], bool]
Fragment = Callable[[Columns], str]


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` answers a boolean expression that is never NULL and reads the caller as `%(auth_user)s` (uuid)."""

    holds: Predicate
    sql: Fragment


def _any(_principal: Principal, _obj: ObjectAttributes) -> bool:
    return True


def _own(principal: Principal, obj: ObjectAttributes) -> bool:
    return obj.owner == principal.user_id


def _granted(right: str) -> Predicate:
    return lambda _principal, obj: right in obj.granted


def _open(_principal: Principal, obj: ObjectAttributes) -> bool:
    return obj.classification in {"public", "internal"}


def _restricted(_principal: Principal, obj: ObjectAttributes) -> bool:
    return obj.classification == "restricted"


def _archived(_principal: Principal, obj: ObjectAttributes) -> bool:
    return obj.state == "archived"


def _either(*parts: Condition) -> Condition:
    return Condition(
        holds=lambda principal, obj: any(part.holds(principal, obj) for part in parts),
        sql=lambda columns: "(" + " OR ".join(part.sql(columns) for part in parts) + ")",
    )


ANY = Condition(_any, lambda _columns: "true")
OWN = Condition(_own, lambda columns: f"coalesce(({columns.owner}) = %(auth_user)s, false)")
READABLE = Condition(_granted("read"), lambda columns: f"coalesce('read' = ANY ({columns.granted}), false)")
WRITABLE = Condition(_granted("write"), lambda columns: f"coalesce('write' = ANY ({columns.granted}), false)")
OPEN = Condition(_open, lambda columns: f"coalesce(({columns.classification}) IN ('public', 'internal'), false)")
RESTRICTED = Condition(_restricted, lambda columns: f"coalesce(({columns.classification}) = 'restricted', false)")
ARCHIVED = Condition(_archived, lambda columns: f"coalesce(({columns.state}) = 'archived', false)")

CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "any": ANY,
        "own": OWN,
        "readable": READABLE,
        "writable": WRITABLE,
        "open": OPEN,
        "restricted": RESTRICTED,
        "archived": ARCHIVED,
        "visible": _either(OPEN, OWN, READABLE, WRITABLE),
        "editable": _either(OWN, WRITABLE),
    }
)
"""By the name that a policy uses. "visible": public or internal, or owned or granted; "editable": owned or granted."""
