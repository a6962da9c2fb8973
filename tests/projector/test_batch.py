"""What may enter a transaction: events that are what the log holds, in order, where they belong."""

import hashlib
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from query_service.projector.batch import NotTheLog, Slice, digest, require_sound
from shared_kernel.events.envelope import StoredRow
from tests.support.history import PARTITIONS, History, sealed


def one_stream(count: int = 4) -> Slice:
    history = History()
    for _ in range(count):
        history.append_bytes("things-1", "tests.Happened.v1", b"{}")
    return Slice(history.partition(history.rows[0]), 0, 1, history.rows)


def with_row(events: Slice, index: int, row: StoredRow) -> Slice:
    rows = list(events.rows)
    rows[index] = row
    return replace(events, rows=rows)


def test_sound_events_pass() -> None:
    events = one_stream()
    require_sound(events, PARTITIONS)
    assert events.upto == 4


@pytest.mark.parametrize(
    "change",
    [
        {"payload": b"[]"},
        {"metadata": b"{}"},
        {"topic": "tests.Other.v1"},
        {"stream": "things-2"},
        {"tenant": "acme"},
        {"version": 9},
        {"tenant_seq": 9},
        {"recorded_at": 1},
        {"payload_format": 0},
        {"event_id": uuid4()},
        {"leaf_hash": bytes(32)},
        {"leaf_version": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_change_of_any_hashed_field_is_noticed(change: dict[str, Any]) -> None:
    events = one_stream()
    forged = with_row(events, 2, events.rows[2]._replace(**change))
    with pytest.raises(NotTheLog, match="position 3 was changed"):
        require_sound(forged, PARTITIONS)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2**63},
        {"tenant_seq": -(2**63) - 1},
        {"recorded_at": 10**30},
        {"stream": "things-\ud800"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_no_log_can_hold_is_noticed_and_no_accident(change: dict[str, Any]) -> None:
    events = one_stream()
    forged = with_row(events, 2, events.rows[2]._replace(**change))
    with pytest.raises(NotTheLog, match="position 3 was changed"):
        require_sound(forged, PARTITIONS)


def test_slot_that_is_not_the_streams_is_noticed_though_no_hash_covers_it() -> None:
    events = one_stream()
    with pytest.raises(NotTheLog, match="does not belong"):
        require_sound(with_row(events, 0, events.rows[0]._replace(slot=events.rows[0].slot + 8)), PARTITIONS)


@pytest.mark.parametrize("order", [[1, 0, 2, 3], [0, 1, 1, 2], [3, 2, 1, 0]])
def test_events_out_of_order_or_twice_are_noticed(order: list[int]) -> None:
    events = one_stream()
    with pytest.raises(NotTheLog, match="came after"):
        require_sound(replace(events, rows=[events.rows[index] for index in order]), PARTITIONS)


def test_event_at_or_before_the_checkpoint_is_noticed() -> None:
    with pytest.raises(NotTheLog, match="Position 1"):
        require_sound(replace(one_stream(), after=1), PARTITIONS)


def test_event_of_another_partition_is_noticed() -> None:
    events = one_stream()
    with pytest.raises(NotTheLog, match="does not belong"):
        require_sound(replace(events, partition=(events.partition + 1) % PARTITIONS), PARTITIONS)


def test_digest_is_over_position_and_leaf() -> None:
    row = one_stream().rows[0]
    expected = hashlib.sha256(b"\x00\x00\x00\x00\x00\x00\x00\x01" + row.leaf_hash).digest()
    assert digest(row) == int.from_bytes(expected, "big")
    assert digest(row) != digest(sealed(row._replace(payload=b"[]")))
