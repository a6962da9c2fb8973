"""What a command came to, and how its caller hears of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from shared_kernel.errors import (
    IdempotencyInFlight,
    IdempotencyKeyReused,
    NotFound,
    ReplayUnavailable,
    StaleVersion,
    TwinlogError,
    VersionConflict,
)
from shared_kernel.events.contract import Event
from shared_kernel.web.headers import documented, etag
from shared_kernel.web.problems import problem_responses

REPLAYED = "Idempotency-Replayed"


class Accepted(BaseModel):
    """The body of every accepted command; `changed` is there, and false, when there was nothing to do."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55", "version": 1, "position": 4711}],
        }
    )

    id: str
    version: int
    position: int
    changed: bool | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an accepted command came to. With the position of `version` in the log it determines the whole answer."""

    id: str
    stream: str
    version: int
    changed: bool
    location: str | None = None

    def encode(self) -> bytes:
        return orjson.dumps(self)

    @classmethod
    def decode(cls, data: bytes) -> "Outcome":
        return cls(**orjson.loads(data))

    @property
    def status(self) -> int:
        return 200 if self.location is None else 201


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of an accepted command."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    """What was decided, for the handler that asked; nothing for an answer of an earlier time."""

    def saying(self, **more: Any) -> "Answer":
        """The same with more in its body."""
        return replace(self, body={**self.body, **more})

    @property
    def id(self) -> str:
        """The id of what the command was about."""
        return str(self.body["id"])

    def response(self) -> Response:
        return Response(orjson.dumps(self.body), self.status, self.headers, "application/json")


def answer(
    outcome: Outcome, position: int, token: str, *, replayed: bool = False, events: tuple[Event, ...] = ()
) -> Answer:
    """`position` is where the log holds the outcome's version; `token` lets a reader wait for it."""
    body = {"id": outcome.id, "version": outcome.version, "position": position}
    headers = {"ETag": etag(outcome.version), "Consistency-Token": token}
    if not outcome.changed:
        body["changed"] = False
    if outcome.location is not None:
        headers["Location"] = outcome.location
    if replayed:
        headers[REPLAYED] = "true"
    return Answer(outcome.status, body, headers, events)


_HEADERS = ("ETag", "Consistency-Token", REPLAYED)
_KEYED = (IdempotencyKeyReused, IdempotencyInFlight, ReplayUnavailable)


def creates(*errors: type[TwinlogError]) -> dict[int | str, dict[str, Any]]:
    """For the `responses=` of a route that makes something new, with the errors that are its own."""
    return {201: {"headers": documented(*_HEADERS, "Location")}} | problem_responses(*_KEYED, *errors)


def changes(*errors: type[TwinlogError]) -> dict[int | str, dict[str, Any]]:
    """The same for a route that changes what is there."""
    found = problem_responses(*_KEYED, NotFound, StaleVersion, VersionConflict, *errors)
    return {200: {"headers": documented(*_HEADERS)}} | found
