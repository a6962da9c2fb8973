"""What a feature tells the command path: how its streams become states, and what is to be done with one of them."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from command_service.infrastructure.event_store.port import Claim
from shared_kernel.auth.policy import ObjectAttributes
from shared_kernel.errors import TwinlogError
from shared_kernel.events.contract import Event
from shared_kernel.feature import Permission

S = TypeVar("S")
C = TypeVar("C")

Events = tuple[Event, ...]
Claims = Mapping[Claim, TwinlogError]
"""What an append takes, releases or requires, and what the caller is told when that fails."""


class Presence(Enum):
    """What a command expects of the stream it is about."""

    NEW = auto()
    THERE = auto()
    EITHER = auto()


@dataclass(frozen=True, slots=True)
class Work(Generic[S]):
    """One command on its way: the stream it is about, its decide function with the command, and what else it takes.

    `permission` is asked of the object once it is loaded; `location` is where the query API will show a new object.
    With `secret` the answer is not kept under an Idempotency-Key, only that it was given.
    """

    aggregate: "Aggregate[S]"
    id: str
    decide: Callable[[Any, datetime], Events]
    presence: Presence
    permission: Permission | None = None
    claims: Claims = field(default_factory=dict)
    location: str | None = None
    secret: bool = False

    @property
    def stream(self) -> str:
        return self.aggregate.stream(self.id)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[S]):
    """A stream as its events have made it; `state` is None, and the numbers 0, when it has not begun.

    `leaf` is the leaf hash of its newest event. Nothing more is added to a stream that is `archived`. `personal` says
    that somebody's key was needed to read it.
    """

    state: S | None
    version: int = 0
    position: int = 0
    leaf: bytes = b""
    archived: bool = False
    personal: bool = False


class SnapshotPolicy(Generic[S]):
    """States of the class `state` are kept whenever `every` events had to be replayed, one for each stream.

    Other fields make older snapshots useless by themselves. When the fields stay and `evolve` gives them another
    meaning, `shape` must rise.
    """

    def __init__(self, state: type[S], *, shape: int, every: int = 100) -> None:
        if every < 2:
            raise ValueError("a snapshot of every event is the event once more")
        self.every = every
        self._adapter = TypeAdapter(state)
        fields = orjson.dumps(self._adapter.json_schema(mode="serialization"), option=orjson.OPT_SORT_KEYS)
        self.name = f"{state.__name__}.v{shape}.{hashlib.sha256(fields).hexdigest()[:12]}"

    def write(self, state: S) -> bytes:
        return self._adapter.dump_json(state)

    def read(self, data: bytes) -> S:
        """Raises pydantic.ValidationError."""
        return self._adapter.validate_json(data)


@dataclass(frozen=True, slots=True)
class Aggregate(Generic[S]):
    """Streams of one category and how their events become a state.

    `attributes(state, tenant)` is what authorisation may look at; without it only the tenant. `closed(state)` says
    whether the object has come to its end, so that its stream may be archived; without it that never happens.
    """

    category: str
    evolve: Callable[[S | None, Event], S]
    attributes: Callable[[S, str], ObjectAttributes] | None = None
    snapshots: SnapshotPolicy[S] | None = None
    closed: Callable[[S], bool] | None = None

    def stream(self, id_: UUID | str) -> str:
        return f"{self.category}-{id_}"

    def creation(
        self,
        id_: UUID | str,
        decide: Callable[[None, C, datetime], Events],
        command: C,
        *,
        claims: Claims | None = None,
        location: str | None = None,
    ) -> Work[S]:
        """Work on a stream that cannot exist yet, because its id was made for it."""
        return Work(self, str(id_), _bound(decide, command), Presence.NEW, None, claims or {}, location)

    def change(
        self,
        id_: UUID | str,
        decide: Callable[[S, C, datetime], Events],
        command: C,
        permission: Permission,
    ) -> Work[S]:
        """Work on something that must be there, by somebody with this permission on it."""
        return Work(self, str(id_), _bound(decide, command), Presence.THERE, permission)

    def record(
        self,
        id_: UUID | str,
        decide: Callable[[S | None, C, datetime], Events],
        command: C,
        *,
        claims: Claims | None = None,
    ) -> Work[S]:
        """Work on a stream that may or may not have begun."""
        return Work(self, str(id_), _bound(decide, command), Presence.EITHER, None, claims or {})


def _bound(decide: Callable[[Any, C, datetime], Events], command: C) -> Callable[[Any, datetime], Events]:
    return lambda state, now: decide(state, command, now)
