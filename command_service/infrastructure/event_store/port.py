"""The append port: what the command path says to the event store and what it hears back."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from shared_kernel.errors import Refusal, TwinlogError
from shared_kernel.errors import SubjectErased as SubjectErased  # noqa: PLC0414 - part of this port's vocabulary
from shared_kernel.events.envelope import JSON, StoredRow

STREAM_PAGE = 1_000
"""Events of a stream that are in memory at the same time when it may be long; most streams are shorter."""


class ClaimAction(Enum):
    """What an append does with a claim, in the same transaction as its events."""

    TAKE = "take"
    RELEASE = "release"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that at most one stream of a tenant holds, such as ("email", <hmac>) or ("tenant", <slug>).

    TAKE fails when another stream holds it; REQUIRE fails when none does; RELEASE gives it up.
    """

    action: ClaimAction
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to append. Its id and its bytes are made once per command, so sending it again is harmless."""

    event_id: UUID
    topic: str
    payload: bytes
    metadata: bytes
    payload_format: int = JSON


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """Kept in the append's transaction: `key` and `fingerprint` are 32-byte HMACs, `answer` is ciphertext."""

    actor: str
    key: bytes
    fingerprint: bytes
    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """One command's wish: all of it happens, or none.

    `expected_version` is the stream's version that was read (0: the stream is new). `events` may be empty when only
    an idempotency record is to be kept (a no-op). `subjects` are ids of the people whose personal fields the events
    carry: the append is refused once such a subject is erased.
    """

    tenant: str
    stream: str
    expected_version: int
    events: tuple[NewEvent, ...]
    claims: tuple[Claim, ...] = ()
    idempotency: IdempotencyRecord | None = None
    subjects: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Appended:
    """Where the events landed: position of the last one (a no-op: the stream's newest), and the new version."""

    position: int
    version: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class KeptState:
    """A stream's state after its event `version`, as bytes; `shape` names what the bytes are."""

    version: int
    shape: str
    state: bytes


class ArchivedStreamRefusesAppends(Refusal):
    """The stream is archived: it can be read, and nothing more is added to it."""


class AppendConflict(TwinlogError):
    """The stream has moved on since it was read."""

    status = 409


class ClaimTaken(Refusal):
    """Another object holds this name."""

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


class ClaimMissing(Refusal):
    """What this refers to does not exist."""

    def __init__(self, claim: Claim) -> None:
        super().__init__()
        self.claim = claim


class KeyAlreadyUsed(TwinlogError):
    """A request with this Idempotency-Key was accepted before."""

    def __init__(self, record: IdempotencyRecord) -> None:
        super().__init__()
        self.record = record


class UnregisteredTopic(TwinlogError):
    """Only topics in the registry may be appended."""


class PayloadTooLarge(Refusal):
    """An event is larger than the log accepts."""


class MalformedAppend(TwinlogError):
    """The log cannot hold this append as it is."""


class EventIdTaken(TwinlogError):
    """An event id is in the log already, for another event."""


class StoreBusy(TwinlogError):
    """Too many writes are waiting; try again in a moment."""

    status = 503
    headers = MappingProxyType({"Retry-After": "1"})


class StoreUnavailable(TwinlogError):
    """The event store cannot be reached; the command may or may not have been carried out: repeat it with its key."""

    status = 503
    headers = MappingProxyType({"Retry-After": "1"})


class EventStore(Protocol):
    """What the command path needs of the store; asynchronous, safe to share by all requests of a process."""

    async def append(self, append: Append) -> Appended:
        """Raises AppendConflict, ArchivedStreamRefusesAppends, ClaimTaken, ClaimMissing, KeyAlreadyUsed, SubjectErased,
        UnregisteredTopic, PayloadTooLarge, MalformedAppend, EventIdTaken, StoreBusy or StoreUnavailable.
        """
        ...

    async def read_stream(
        self, tenant: str, stream: str, after_version: int = 0, limit: int | None = None
    ) -> Sequence[StoredRow]:
        """The rows of one stream in version order; empty for a stream that does not exist in this tenant."""
        ...

    async def read_stream_from_snapshot(self, tenant: str, stream: str) -> Sequence[StoredRow]:
        """The first `STREAM_PAGE` rows from the event on that the newest snapshot was taken after, if there is one."""
        ...

    async def read_snapshot(self, tenant: str, stream: str, version: int) -> KeptState | None:
        """What was kept as the stream's state after this version."""
        ...

    async def keep_snapshot(self, tenant: str, stream: str, kept: KeptState) -> None:
        """Keep a state in the place of all that were kept for the stream before."""
        ...

    def read_log(self, after: int, limit: int | None = None) -> AsyncIterator[Sequence[StoredRow]]:
        """Batches of the whole log in position order, in constant memory."""
        ...

    async def find_idempotent(self, tenant: str, actor: str, key: bytes) -> IdempotencyRecord | None:
        """The record kept under this key within the last 24 hours."""
        ...

    async def claim_holder(self, tenant: str, kind: str, key: str) -> str | None:
        """The stream that holds a claim, if any."""
        ...

    async def head(self) -> tuple[int, int]:
        """(epoch, newest position); position 0 for an empty log."""
        ...
