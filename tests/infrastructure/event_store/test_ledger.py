"""The judge of races and crashes sees every way in which a log can break its promise."""

import pytest

from tests.infrastructure.event_store.ledger import Attempt, Fate, examine, mark_of, payloads
from tests.infrastructure.event_store.racing import least_share

ACKNOWLEDGED, ABSENT, UNKNOWN = Fate.ACKNOWLEDGED, Fate.ABSENT, Fate.UNKNOWN


def attempt(number: int, count: int = 1, fate: Fate = ACKNOWLEDGED, first: int = 0, at: int = 0) -> Attempt:
    """Told that it begins at `first` (0: told nothing); it took one unit of time."""
    return Attempt(number, count, fate, at, at + 1, tuple(range(first, first + count)) if first else ())


def log(*numbers: tuple[int, int]) -> list[tuple[int, int]]:
    """A log that holds these events, each given as its attempt's number and its place within it."""
    return [
        (position, mark_of(payloads(number, index + 1)[index])) for position, (number, index) in enumerate(numbers, 1)
    ]


def test_whole_log_breaks_no_promise() -> None:
    verdict = examine(
        [attempt(1, 2, first=1), attempt(2, first=3, at=1), attempt(3, fate=ABSENT), attempt(4, fate=UNKNOWN)],
        log((1, 0), (1, 1), (2, 0)),
    )
    assert (verdict.acknowledged, verdict.seen, verdict.broken) == (3, 3, {})


def test_whole_append_that_nobody_was_told_of_breaks_no_promise() -> None:
    assert examine([attempt(1, 2, UNKNOWN)], log((1, 0), (1, 1))).broken == {}


def test_lost_append_is_seen() -> None:
    assert examine([attempt(1, 2), attempt(2)], log((2, 0))).broken == {"lost": 2}


@pytest.mark.parametrize("fate", [ACKNOWLEDGED, UNKNOWN])
def test_torn_append_is_seen(fate: Fate) -> None:
    assert examine([attempt(1, 3, fate)], log((1, 0), (1, 1))).broken["torn"] == 1


def test_doubled_batch_is_seen() -> None:
    assert examine([attempt(1, 2)], log((1, 0), (1, 1), (1, 0), (1, 1))).broken["repeated"] == 2


def test_position_met_twice_is_seen() -> None:
    assert examine([attempt(1), attempt(2)], [*log((1, 0)), (1, log((2, 0))[0][1])]).broken == {"repeated": 1}


def test_refused_append_that_is_there_is_seen() -> None:
    assert examine([attempt(1, fate=ABSENT)], log((1, 0))).broken == {"uncalled": 1}


def test_event_of_nobody_is_seen() -> None:
    assert examine([], log((1, 0))).broken == {"uncalled": 1}


def test_reader_that_goes_back_is_seen() -> None:
    assert examine([attempt(1), attempt(2)], list(reversed(log((1, 0), (2, 0))))).broken == {"out_of_order": 1}


def test_append_elsewhere_than_its_writer_was_told_is_seen() -> None:
    assert examine([attempt(1, first=7)], log((1, 0))).broken == {"out_of_order": 1}


def test_events_of_an_append_in_another_order_are_seen() -> None:
    assert examine([attempt(1, 2)], log((1, 1), (1, 0))).broken == {"out_of_order": 1}


def test_append_that_was_overtaken_by_a_later_one_is_seen() -> None:
    assert examine([attempt(1, at=1), attempt(2, at=5)], log((2, 0), (1, 0))).broken == {"out_of_order": 1}


def test_appends_at_the_same_time_may_stand_either_way() -> None:
    assert examine([attempt(1, at=1), attempt(2, at=2)], log((2, 0), (1, 0))).broken == {}


def of_process(number: int, *times: int) -> list[Attempt]:
    return [attempt((number << 32) + index, at=time) for index, time in enumerate(times)]


@pytest.mark.parametrize(
    ("attempts", "share"),
    [
        ([*of_process(1, 1, 2, 3, 4), *of_process(2, 1, 2, 3, 4)], 1.0),
        ([*of_process(1, *range(1, 10)), *of_process(2, 1, 9)], 0.36),
        ([*of_process(1, 1, 2, 3), *of_process(2, *range(2, 9))], 1.0),
        ([*of_process(1, 1, 2, 3), *of_process(2, 7, 8, 9)], 0.0),
    ],
    ids=["even", "one goes hungry", "one ends first", "one after the other"],
)
def test_share_of_the_slowest_process_is_told(attempts: list[Attempt], share: float) -> None:
    assert least_share(attempts) == share
