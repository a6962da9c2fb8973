"""Rules of the relay that need no engine: what is sound, what is ahead, who precedes whom."""

from typing import Any

import pytest

from command_service.relay.agreement import Resumption, _require_not_ahead
from command_service.relay.log import Installation, Log, Publication
from command_service.relay.publisher import Top, _top
from command_service.relay.publishing import Publishing, _sound
from command_service.relay.refusals import ForeignEntry, LogDamaged, RedisAheadOfLog
from command_service.relay.status import Status
from shared_kernel.clock import SystemClock
from shared_kernel.events.envelope import StoredRow
from shared_kernel.messaging.mark import Mark
from shared_kernel.observability import Metrics
from tests.support.history import PARTITIONS, History

INSTALLED = Installation(epoch=2, partitions=PARTITIONS)
LEAF = bytes(32)


def rows(count: int = 5) -> list[StoredRow]:
    history = History()
    for number in range(count):
        history.append_bytes(f"things-{number}", "tests.Happened.v1", b"{}")
    return history.rows


def test_sound_rows_are_published_whole() -> None:
    found = rows()
    assert _sound(found, 0) == found


def test_rows_before_a_damaged_one_are_still_published() -> None:
    found = rows()
    found[3] = found[3]._replace(payload=b"[]")
    assert _sound(found, 0) == found[:3]


def test_rows_before_a_missing_one_are_still_published() -> None:
    found = rows()
    del found[2]
    assert _sound(found, 0) == found[:2]


@pytest.mark.parametrize("change", [{"payload": b"[]"}, {"leaf_version": 2}, {"leaf_hash": LEAF}])
def test_damaged_row_at_the_front_is_refused(change: dict[str, Any]) -> None:
    found = rows()
    found[0] = found[0]._replace(**change)
    with pytest.raises(LogDamaged, match="position 1 is not as it was written"):
        _sound(found, 0)


def test_missing_row_at_the_front_is_refused() -> None:
    with pytest.raises(LogDamaged, match="Position 1 is missing"):
        _sound(rows()[1:], 0)


@pytest.mark.parametrize(
    ("tops", "mark"),
    [
        ({}, None),
        ({0: Top(2, 10, LEAF)}, None),
        ({0: Top(1, 999, LEAF)}, None),
        ({0: Top(1, 999, LEAF), 1: Top(2, 9, LEAF)}, Mark(2, 10, (0,), 0)),
        ({}, Mark(1, 999, (0,), 0)),
    ],
)
def test_redis_at_or_behind_the_log_is_fine(tops: dict[int, Top], mark: Mark | None) -> None:
    _require_not_ahead(INSTALLED, tops, mark, head=10)


@pytest.mark.parametrize(
    ("tops", "mark"),
    [
        ({0: Top(2, 11, LEAF)}, None),
        ({0: Top(3, 1, LEAF)}, None),
        ({0: Top(2, 5, LEAF)}, Mark(2, 11, (0,), 0)),
        ({}, Mark(3, 1, (0,), 0)),
    ],
)
def test_redis_ahead_of_the_log_is_refused(tops: dict[int, Top], mark: Mark | None) -> None:
    with pytest.raises(RedisAheadOfLog, match="the log ends at position 10 of epoch 2: the database was restored"):
        _require_not_ahead(INSTALLED, tops, mark, head=10)


def test_newest_entry_of_a_stream_is_understood() -> None:
    assert _top(0, b"2-17", {b"ce_leafhash": LEAF.hex().encode()}) == Top(2, 17, LEAF)


@pytest.mark.parametrize(
    ("entry_id", "fields"), [(b"2-17", {}), (b"2-17", {b"ce_leafhash": b"xyz"}), (b"2", {b"ce_leafhash": b"00"})]
)
def test_entry_that_no_relay_wrote_is_refused(entry_id: bytes, fields: dict[bytes, bytes]) -> None:
    with pytest.raises(ForeignEntry, match=r"events:\{4\}"):
        _top(4, entry_id, fields)


def publishing(held: dict[int, int], start: int = 0) -> Publishing:
    history = History()
    history.rows = rows(40)
    resumption = Resumption(Publication(1, start, tuple(history.last(start))), held)
    return Publishing(Log(None), None, SystemClock(), resumption)  # type: ignore[arg-type] # chaining asks neither


def test_chain_names_the_predecessor_in_the_partition_across_batches() -> None:
    history = History()
    history.rows = rows(40)
    messages, done = publishing({}, start=15)._chain(history.rows[15:])
    assert messages == history.messages(15)
    assert done == Publication(1, 40, tuple(history.last()))


def test_chain_leaves_out_what_a_stream_already_holds() -> None:
    history = History()
    history.rows = rows(40)
    last = history.last()
    partition = max(range(PARTITIONS), key=lambda number: last[number])
    messages, done = publishing({partition: last[partition]})._chain(history.rows)
    assert {history.partition(message.row) for message in messages} == set(range(PARTITIONS)) - {partition}
    assert done.last == tuple(last)


async def test_status_says_each_reason_until_it_is_gone() -> None:
    status = Status(Metrics("relay"))
    assert set((await status.readiness()).values()) == {""}
    status.report("log", "restored")
    assert (await status.readiness())["log"] == "restored"
    assert status.refused._value.get() == 1
    status.report("log", "")
    assert status.refused._value.get() == 0


@pytest.mark.parametrize(("given", "shown"), [((5, 2.5), (5, 2.5)), ((-1, -0.1), (0, 0))])
def test_lag_is_never_negative(given: tuple[int, float], shown: tuple[int, float]) -> None:
    status = Status(Metrics("relay"))
    status.behind(*given)
    assert (status.lag._value.get(), status.lag_seconds._value.get()) == shown
