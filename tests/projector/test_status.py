"""What operators hear: reasons that come and go, lag in positions and in seconds, the relay's silence."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from psycopg.errors import CheckViolation

from query_service.projector.census import Standing
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.folding import Parked
from query_service.projector.generations import Registered, other, outdated
from query_service.projector.parking import ParkedStream
from query_service.projector.status import SILENT_AFTER, Status
from query_service.projector.trouble import Trouble, unwritable
from shared_kernel.clock import microseconds
from shared_kernel.errors import NotFound
from shared_kernel.messaging.mark import Mark
from shared_kernel.observability import Metrics
from tests.support.history import History
from tests.support.tallies import PROJECTION

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)


class Times:
    """A wall clock and a monotonic one that stand still until they are moved."""

    def __init__(self) -> None:
        self.passed = 1_000.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.passed - 1_000.0)

    def monotonic(self) -> float:
        return self.passed


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def status(times: Times) -> Status:
    return Status(Metrics("projector"), times, times.monotonic)


def recorded(times: Times, seconds_ago: float) -> int:
    return microseconds(times.now()) - int(seconds_ago * 1_000_000)


def lag(status: Status, name: str = "tallies") -> tuple[float, float]:
    return status._lag.labels(name)._value.get(), round(status._lag_seconds.labels(name)._value.get(), 3)


async def test_nothing_is_wrong_at_first(status: Status) -> None:
    assert set((await status.readiness()).values()) == {""}


async def test_reason_stays_until_it_is_gone(status: Status) -> None:
    status.report("redis", "away")
    assert (await status.readiness())["redis"] == "away"
    status.report("redis", "")
    assert (await status.readiness())["redis"] == ""


async def test_silent_relay_is_noticed_and_forgiven(status: Status, times: Times) -> None:
    status.marked(Mark(1, 5, (5,), 1))
    times.passed += SILENT_AFTER + 1
    status.marked(Mark(1, 5, (5,), 1))
    assert "relay" in (await status.readiness())["mark"]
    status.marked(Mark(1, 5, (5,), 2))
    assert (await status.readiness())["mark"] == ""


async def test_missing_mark_is_silence_too(status: Status, times: Times) -> None:
    status.marked(None)
    assert (await status.readiness())["mark"] == ""
    times.passed += SILENT_AFTER + 1
    status.marked(None)
    assert (await status.readiness())["mark"] != ""


def test_level_projection_has_no_lag(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30, 20), 1))
    status.lags([Standing("tallies", 0, 30, recorded(times, 99)), Standing("tallies", 1, 20, recorded(times, 99))])
    assert lag(status) == (0, 0)


def test_lag_is_that_of_the_partition_that_is_farthest_behind(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30, 20), 1))
    status.lags([Standing("tallies", 0, 3, recorded(times, 9)), Standing("tallies", 1, 20, recorded(times, 2))])
    status.lags([Standing("tallies", 0, 12, recorded(times, 8)), Standing("tallies", 1, 20, recorded(times, 2))])
    assert lag(status) == (18, 8)


def test_event_after_a_long_silence_is_not_as_old_as_the_one_before_it(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30,), 1))
    status.lags([Standing("tallies", 0, 30, recorded(times, 5_000))])
    times.passed += 1
    status.marked(Mark(1, 31, (31,), 2))
    status.lags([Standing("tallies", 0, 30, recorded(times, 5_001))])
    assert lag(status) == (1, 1)


def test_partition_that_moves_on_lags_by_the_age_of_its_newest_event(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30,), 1))
    status.lags([Standing("tallies", 0, 30, recorded(times, 1))])
    times.passed += 600
    status.marked(Mark(1, 900, (900,), 2))
    status.lags([Standing("tallies", 0, 890, recorded(times, 0.25))])
    assert lag(status) == (10, 0.25)


def test_lag_is_not_told_without_a_mark(status: Status, times: Times) -> None:
    status.lags([Standing("tallies", 0, 12, recorded(times, 8))])
    assert lag(status) == (0, 0)


def test_mark_of_a_log_with_fewer_partitions_tells_no_lag(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30,), 1))
    status.lags([Standing("tallies", 0, 12, recorded(times, 8)), Standing("tallies", 1, 20, recorded(times, 2))])
    assert lag(status) == (0, 0)


def test_partition_without_an_event_is_as_late_as_it_has_been_looked_at(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30,), 1))
    status.lags([Standing("tallies", 0, 0, None)])
    assert lag(status) == (30, 0)
    times.passed += 7
    status.lags([Standing("tallies", 0, 0, None)])
    assert lag(status) == (30, 7)


def test_restart_after_a_silence_does_not_make_the_next_event_as_old_as_the_one_before_it(
    status: Status, times: Times
) -> None:
    status.marked(Mark(1, 31, (31,), 2))
    status.lags([Standing("tallies", 0, 30, recorded(times, 86_400))])
    assert lag(status) == (1, 0)
    times.passed += 3
    status.lags([Standing("tallies", 0, 30, recorded(times, 86_403))])
    assert lag(status) == (1, 3)


def test_backlog_is_as_old_as_its_events_however_lately_we_have_begun(status: Status, times: Times) -> None:
    status.marked(Mark(1, 900, (900,), 2))
    status.lags([Standing("tallies", 0, 30, recorded(times, 7_300))])
    times.passed += 1
    status.lags([Standing("tallies", 0, 400, recorded(times, 7_200))])
    assert lag(status) == (500, 7_200)


def test_partition_that_comes_back_is_looked_at_afresh(status: Status, times: Times) -> None:
    status.marked(Mark(1, 30, (30,), 1))
    status.lags([Standing("tallies", 0, 30, recorded(times, 1))])
    times.passed += 600
    status.lags([])  # others work on it
    times.passed += 600
    status.marked(Mark(1, 90, (90,), 2))
    status.lags([Standing("tallies", 0, 60, recorded(times, 900))])
    assert lag(status) == (30, 0)


def parked_stream(number: int) -> ParkedStream:
    return ParkedStream("tallies", "blue", "default", f"tallies-{number}", number, "t", "KeyError", "f", 2, "now")


async def test_parked_streams_are_counted_and_the_oldest_is_named(status: Status) -> None:
    status.parked_streams([parked_stream(4), parked_stream(9)], ["tallies", "others"])
    assert (await status.readiness())["parked"].startswith("2 parked, the oldest for tallies at position 4 (t: Key")
    assert [status._parked.labels(name)._value.get() for name in ("tallies", "others")] == [2, 0]
    status.parked_streams([], ["tallies", "others"])
    assert (await status.readiness())["parked"] == ""
    assert status._parked.labels("tallies")._value.get() == 0


def test_each_parked_event_is_counted(status: Status) -> None:
    row = History().append_bytes(f"tallies-{uuid4()}", "t", b"{}")
    status.parked("tallies", Parked(0, row, Trouble.behind()))
    assert status._parked_events.labels("tallies")._value.get() == 1


def test_refusal_of_ours_is_told_in_its_own_words() -> None:
    assert Trouble.of(NotFound("no such thing")).reason == "NotFound: no such thing"


def test_refusal_of_the_database_is_told_without_values() -> None:
    trouble = Trouble.of(CheckViolation("Failing row contains (secret)"))
    assert trouble.reason == "CheckViolation (SQLSTATE 23514)"
    assert unwritable(CheckViolation("x"))


def test_error_that_was_never_raised_has_no_place() -> None:
    assert Trouble.of(ValueError("secret")).reason == "ValueError"


@pytest.mark.parametrize(("mine", "others"), [("blue", "green"), ("green", "blue")])
def test_there_are_two_generations(mine: str, others: str) -> None:
    assert other(mine) == others


def test_live_and_shadow_are_units_of_their_own() -> None:
    row = Registered("tallies", "green", 1, 2, shadow_is_new=True)
    assert (row.live, row.shadow) == (Unit("tallies", "green"), Unit("tallies", "blue"))
    assert str(LOG) == "audit_events/blue"


@pytest.mark.parametrize(
    ("version", "sentences"),
    [(1, 0), (2, 1), (0, 1)],
    ids=["same", "rows of a newer release", "rows of an older release"],
)
def test_rows_of_another_version_demand_a_rebuild(version: int, sentences: int) -> None:
    known = {"tallies": Registered("tallies", "blue", version, None, shadow_is_new=False)}
    assert len(outdated([PROJECTION], known)) == sentences
    assert outdated([PROJECTION], {}) == []
