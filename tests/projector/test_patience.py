"""Code of a projection that never comes back: its event is parked, the others flow, and the process stays awake."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import uvloop

from query_service.infrastructure.projection import Fold, Row
from query_service.projector import patience
from query_service.projector.patience import TooSlow, watched
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Recorded
from tests.projector.test_folding import A, B, arrivals, folded, opened, positions, raised
from tests.support.read_side import ReadSide, eventually, write
from tests.support.tallies import PROJECTION, TallyRaised, on_raised

LIMIT = 0.5
"""Seconds; a loaded machine does not let anything innocent look as slow as that twice in a row."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LIMIT", LIMIT)


RINGS_AFTER = 0.3


@pytest.fixture
def alarm() -> Iterator[list[float]]:
    """A timer of somebody else's, which rings `RINGS_AFTER` seconds later; how long it took."""
    begun = time.monotonic()
    rang: list[float] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rang.append(time.monotonic() - begun))
    left, interval = signal.setitimer(signal.ITIMER_REAL, RINGS_AFTER)
    yield rang
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, left, interval)


def for_ever() -> None:
    while True:
        pass


def asleep() -> None:
    time.sleep(3600)


def be_interrupted() -> None:
    with watched(0.05) as watch:
        watch.busy = "it"
        for_ever()


def hanging(how: Callable[[], None]) -> dict[type[Event], Fold]:
    """Folds of which one never comes back from a raise by thirteen."""

    def fold(row: Row | None, recorded: Recorded[Any]) -> Row:
        if recorded.event.by == 13:
            how()
        return on_raised(row, recorded)

    folds = dict(PROJECTION.folds)
    folds[TallyRaised] = fold
    return folds


@pytest.mark.parametrize("how", [for_ever, asleep])
def test_fold_that_never_comes_back_parks_its_event(how: Callable[[], None]) -> None:
    events = arrivals(opened(), opened(B), raised(13), raised(1, B), raised(2))
    folding = folded(events, folds=hanging(how))
    assert positions(folding) == [3, 5]
    assert folding.parked[0].trouble.reason.startswith(f"TooSlow: {how.__name__} does not come back within")


def test_key_that_is_never_computed_parks_its_event() -> None:
    def key_of(recorded: Recorded[Any]) -> tuple[str, Any]:
        if recorded.event.tally_id == A:
            for_ever()
        return PROJECTION.key_of(recorded)

    assert positions(folded(arrivals(opened(), opened(B)), key_of=key_of)) == [1]


def test_much_work_on_many_events_is_not_too_slow() -> None:
    with watched(LIMIT) as watch:
        for number in range(30):
            watch.busy = str(number)
            time.sleep(LIMIT / 10)


def test_timer_of_somebody_else_goes_on(alarm: list[float]) -> None:
    deadline = time.monotonic() + 30
    with pytest.raises(TooSlow):
        be_interrupted()
    while not alarm:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert alarm[0] >= 0.9 * RINGS_AFTER


def test_other_threads_are_left_alone() -> None:
    done = []

    def work() -> None:
        with watched(0.01) as watch:
            watch.busy = "it"
            time.sleep(0.1)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_loop_of_the_services_can_be_interrupted_too() -> None:
    async def main() -> str:
        with pytest.raises(TooSlow):
            be_interrupted()
        return await asyncio.sleep(0.01, "awake")

    assert uvloop.run(main()) == "awake"


async def test_projector_parks_what_hangs_and_goes_on(side: ReadSide) -> None:
    slow = replace(PROJECTION, folds=hanging(for_ever))
    write(side, 1, by=13)
    write(side, 10)
    await side.publish()
    async with side.projector(slow) as tools:
        await side.caught_up()

        async def told() -> bool:
            return "TooSlow" in (await tools.status.readiness())["parked"]

        await eventually(told, "what hangs is named")

        async def flowed() -> bool:
            return sorted((await side.totals()).values()) == [0, *[1] * 10]

        await eventually(flowed, "all others flow")


async def test_table_that_is_locked_holds_the_batch_up_and_loses_nothing(side: ReadSide) -> None:
    await side.register()
    write(side, 3)
    engine = side.engine()
    batch = [await engine.prepare(events) for events in side.slices()]
    async with side.pool.connection() as stall, side.pool.connection() as working:
        await working.execute("SET lock_timeout = '100ms'")
        async with stall.transaction():
            await stall.execute("LOCK TABLE blue.tallies IN EXCLUSIVE MODE")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await engine.apply(working, batch)
        assert await side.totals() == {}
        await engine.apply(working, batch)
        await working.execute("RESET lock_timeout")
    assert len(await side.totals()) == 3
