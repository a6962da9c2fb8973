"""A batch: many appends in one call of the append function, and what became of each of them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from psycopg import sql

from command_service.infrastructure.event_store import arrays
from command_service.infrastructure.event_store.port import (
    AppendConflict,
    Appended,
    Claim,
    ClaimAction,
    ClaimMissing,
    ClaimTaken,
    IdempotencyRecord,
    KeyAlreadyUsed,
)
from shared_kernel.errors import SubjectErased, TwinlogError


class Unencodable(Exception):
    """One of the items does not fit the wire: a number too large, text that is not Unicode."""


class TrackingBehind(TwinlogError):
    """A notification at or after this one has been tracked already."""


_ACTIONS = {ClaimAction.TAKE: 1, ClaimAction.RELEASE: 2, ClaimAction.REQUIRE: 3}
_ANSWER = attrgetter("actor", "key", "fingerprint", "status", "answer")

_REFUSALS: dict[str, type[TwinlogError]] = {
    "stale": AppendConflict,
    "subject-erased": SubjectErased,
    "tracking-behind": TrackingBehind,
}

_CLAIM_REFUSALS: dict[str, type[ClaimTaken] | type[ClaimMissing]] = {
    "claim-taken": ClaimTaken,
    "claim-missing": ClaimMissing,
}

PARAMETERS = 30

_CALL = "SELECT item, outcome, last_position, last_version, at, claim, fingerprint, status, answer FROM {}.{}({})"

Key = tuple[str, ...] | bytes
"""A name that two appends of one batch must not share: a stream, an idempotency key, a claim, an event id."""


class Row(NamedTuple):
    """An event as the append function takes it; `event_id` is sixteen bytes."""

    stream: str
    version: int
    topic: str
    payload_format: int
    payload: bytes
    metadata: bytes
    event_id: bytes


class Track(NamedTuple):
    """Up to which notification of another application the owner has come."""

    owner: str
    application_name: str
    notification_id: int


@dataclass(frozen=True, slots=True)
class Item:
    """One append of a batch. `expected` None: the rows bring versions of their own, which must not be there yet.

    `size` are the bytes of payloads and metadata, `alone` the keys that no other item of the batch may have, `shared`
    those that others may have as `shared` too.
    """

    tenant: str
    stream: str
    expected: int | None
    rows: Sequence[Row]
    size: int
    alone: frozenset[Key]
    shared: frozenset[Key] = frozenset()
    claims: tuple[Claim, ...] = ()
    idempotency: IdempotencyRecord | None = None
    subjects: tuple[str, ...] = ()
    track: Track | None = None


class Verdict(NamedTuple):
    """A row of the function's answer; item 0 is about the batch."""

    item: int
    outcome: str
    last_position: int
    last_version: int
    at: int
    claim: int
    fingerprint: bytes
    status: int
    answer: bytes


class Answer(NamedTuple):
    """An outcome for each item, and by how many microseconds the clock was behind the newest event."""

    outcomes: Sequence[Appended | TwinlogError]
    clock_behind: int


def call(schema: str) -> sql.Composed:
    """The statement that appends a batch."""
    placeholders = sql.SQL(", ").join(sql.SQL("$") + sql.Literal(number) for number in range(1, PARAMETERS + 1))
    return sql.SQL(_CALL).format(sql.Identifier(schema), sql.Identifier("append_events_v1"), placeholders)


def encode(items: Sequence[Item]) -> tuple[bytes, ...]:
    """The parameters of the statement, in its order. Raises Unencodable."""
    try:
        return _parameters(items)
    except (struct.error, ValueError, TypeError) as error:
        raise Unencodable(str(error)) from error


def _parameters(items: Sequence[Item]) -> tuple[bytes, ...]:
    tenants: dict[str, int] = {}
    for item in items:
        tenants.setdefault(item.tenant, len(tenants) + 1)
    return (
        arrays.text(tuple(tenants)),
        arrays.integer(tuple([tenants[item.tenant] for item in items])),
        arrays.text([item.stream for item in items]),
        arrays.nullable_bigint([item.expected for item in items]),
        arrays.integer(tuple([len(item.rows) for item in items])),
        *_events(items),
        *_keys(items),
        *_claims(items),
        *_subjects(items),
        *_tracks(items),
    )


def _events(items: Sequence[Item]) -> tuple[bytes, ...]:
    rows = [row for item in items for row in item.rows]
    numbers: list[int] = []
    sequence: list[int] = []
    counts: dict[str, int] = {}
    for number, item in enumerate(items, 1):
        count, before = len(item.rows), counts.get(item.tenant, 0)
        numbers.extend([number] * count)
        sequence.extend(range(before + 1, before + count + 1))
        counts[item.tenant] = before + count
    streams, versions, topics, formats, payloads, metadata, ids = zip(*rows, strict=True) if rows else ((),) * 7
    return (
        arrays.integer(tuple(numbers)),
        arrays.integer(tuple(sequence)),
        arrays.text(streams),
        arrays.bigint(versions),
        arrays.text(topics),
        arrays.smallint(formats),
        arrays.bytea(payloads),
        arrays.bytea(metadata),
        arrays.uuids(ids),
    )


# What most batches do not have is packed once, not with every batch.
_NO_KEYS = (arrays.integer(()), arrays.text(()), *[arrays.bytea(())] * 2, arrays.smallint(()), arrays.bytea(()))
_NO_CLAIMS = (arrays.integer(()), arrays.smallint(()), *[arrays.text(())] * 2)
_NO_SUBJECTS = (arrays.integer(()), arrays.text(()))
_NO_TRACKS = (arrays.integer(()), *[arrays.text(())] * 2, arrays.bigint(()))


def _keys(items: Sequence[Item]) -> tuple[bytes, ...]:
    kept = [(number, *_ANSWER(item.idempotency)) for number, item in enumerate(items, 1) if item.idempotency]
    if not kept:
        return _NO_KEYS
    numbers, actors, keys, fingerprints, statuses, answers = zip(*kept, strict=True)
    return (
        arrays.integer(numbers),
        arrays.text(actors),
        arrays.bytea(keys),
        arrays.bytea(fingerprints),
        arrays.smallint(statuses),
        arrays.bytea(answers),
    )


def _numbered_claims(items: Sequence[Item]) -> list[tuple[int, Claim]]:
    return [(number, claim) for number, item in enumerate(items, 1) for claim in item.claims]


def _claims(items: Sequence[Item]) -> tuple[bytes, ...]:
    claims = _numbered_claims(items)
    if not claims:
        return _NO_CLAIMS
    return (
        arrays.integer(tuple([number for number, _ in claims])),
        arrays.smallint(tuple([_ACTIONS[claim.action] for _, claim in claims])),
        arrays.text([claim.kind for _, claim in claims]),
        arrays.text([claim.key for _, claim in claims]),
    )


def _subjects(items: Sequence[Item]) -> tuple[bytes, ...]:
    subjects = [(number, subject) for number, item in enumerate(items, 1) for subject in item.subjects]
    if not subjects:
        return _NO_SUBJECTS
    numbers, names = zip(*subjects, strict=True)
    return arrays.integer(numbers), arrays.text(names)


def _tracks(items: Sequence[Item]) -> tuple[bytes, ...]:
    tracks = [(number, *item.track) for number, item in enumerate(items, 1) if item.track is not None]
    if not tracks:
        return _NO_TRACKS
    numbers, owners, names, positions = zip(*tracks, strict=True)
    return arrays.integer(numbers), arrays.text(owners), arrays.text(names), arrays.bigint(positions)


def decode(items: Sequence[Item], rows: Sequence[tuple[Any, ...]]) -> Answer:
    """What became of each item; the answer has a row for each that was not simply appended, and one for the batch."""
    special = {row[0]: Verdict(*row) for row in rows}
    whole = special.pop(0)
    position = whole.last_position
    outcomes: list[Appended | TwinlogError] = []
    for number, item in enumerate(items, 1):
        if number in special:
            outcomes.append(_special(items, item, special[number]))
        else:
            position += len(item.rows)
            outcomes.append(Appended(position, item.rows[-1].version, whole.at))
    return Answer(outcomes, whole.last_version)


def _special(items: Sequence[Item], item: Item, verdict: Verdict) -> Appended | TwinlogError:
    if verdict.outcome in ("unchanged", "already-stored"):
        return Appended(verdict.last_position, verdict.last_version, verdict.at)
    if verdict.outcome == "key-used" and item.idempotency is not None:
        kept = (verdict.fingerprint, verdict.status, verdict.answer)
        return KeyAlreadyUsed(IdempotencyRecord(item.idempotency.actor, item.idempotency.key, *kept))
    if verdict.outcome in _CLAIM_REFUSALS:
        return _CLAIM_REFUSALS[verdict.outcome](_numbered_claims(items)[verdict.claim - 1][1])
    return _REFUSALS[verdict.outcome]()
