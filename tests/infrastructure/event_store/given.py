"""Short ways to say what is appended."""

from collections.abc import Sequence
from uuid import UUID

import uuid_utils

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import (
    Append,
    Claim,
    ClaimAction,
    IdempotencyRecord,
    NewEvent,
)
from shared_kernel.events.envelope import StoredRow

TOPIC = "lending.BookLent.v1"

TAKE, RELEASE, REQUIRE = ClaimAction.TAKE, ClaimAction.RELEASE, ClaimAction.REQUIRE


def event(payload: bytes = b'{"book":"Emma"}', topic: str = TOPIC) -> NewEvent:
    return NewEvent(UUID(int=uuid_utils.uuid7().int), topic, payload, b'{"actor":"system:test"}')


def append(
    stream: str,
    expected: int = 0,
    *events: NewEvent,
    tenant: str = "default",
    claims: Sequence[Claim] = (),
    key: IdempotencyRecord | None = None,
    subjects: Sequence[str] = (),
) -> Append:
    """One event unless told otherwise."""
    return Append(tenant, stream, expected, events or (event(),), tuple(claims), key, tuple(subjects))


def key(name: str, answer: bytes = b"sealed", actor: str = "ann") -> IdempotencyRecord:
    return IdempotencyRecord(actor, name.encode().ljust(32, b"."), b"fingerprint".ljust(32, b"."), 201, answer)


async def whole_log(store: PostgresEventStore) -> list[StoredRow]:
    return [row async for rows in store.read_log(0) for row in rows]
