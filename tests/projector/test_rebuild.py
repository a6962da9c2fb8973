"""Blue and green: rebuilding from the log, comparing, switching and the way back, while events keep coming."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from query_service.projector import diff as diff_module
from query_service.projector.batch import NotTheLog
from query_service.projector.catch_up import CatchingUp, claimed
from query_service.projector.checkpoints import Fenced, Unit
from query_service.projector.diff import Difference, NeverLevel, NoShadow, diff
from query_service.projector.rebuild import NothingToRebuild, RebuildUnderWay, rebuild
from query_service.projector.switch import (
    NothingToRollBackTo,
    NothingToSwitchTo,
    WouldGoBack,
    roll_back,
    switch,
)
from tests.support.read_side import ReadSide
from tests.support.tallies import PROJECTION, TallyClosed, TallyOpened, TallyRaised

LIVE, SHADOW = Unit("tallies", "blue"), Unit("tallies", "green")


def write(side: ReadSide, count: int) -> list[UUID]:
    tallies = [uuid4() for _ in range(count)]
    for tally in tallies:
        side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally), TallyRaised(tally_id=tally, by=1))
    return tallies


async def projected(side: ReadSide, count: int) -> list[UUID]:
    """A query database that has handled a log."""
    await side.register()
    tallies = write(side, count)
    await side.publish()
    await side.apply(side.engine(), side.slices())
    return tallies


async def compared(side: ReadSide) -> Difference:
    return await diff(side.tools(), side.engine(), PROJECTION)


async def test_rebuilt_generation_equals_the_live_one(side: ReadSide) -> None:
    await projected(side, 30)
    rebuilt = await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert (rebuilt.events, rebuilt.generations) == (60, [SHADOW])
    assert await side.totals("green") == await side.totals("blue")
    assert await compared(side) == Difference(30, 0, 0, 0, [])


async def test_rebuild_replays_the_log_and_not_the_audit_copy(side: ReadSide) -> None:
    await projected(side, 5)
    await side.rows("UPDATE public.checkpoints SET updated_at = now() RETURNING 1")
    asked = side.feed_server.asked
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert side.feed_server.asked > asked


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE blue.tallies SET total = 99 WHERE id = '{}' RETURNING 1", (10, 0, 0, 1)),
        ("DELETE FROM green.tallies WHERE id = '{}' RETURNING 1", (10, 1, 0, 0)),
        ("DELETE FROM blue.tallies WHERE id = '{}' RETURNING 1", (9, 0, 1, 0)),
    ],
)
async def test_planted_difference_is_found_and_named(
    side: ReadSide, damage: str, found: tuple[int, int, int, int]
) -> None:
    tallies = await projected(side, 10)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows(damage.format(tallies[3]))
    assert await compared(side) == Difference(*found, [["default", str(tallies[3])]])


async def test_long_way_is_gone_without_holding_up_the_live_batches(side: ReadSide) -> None:
    await projected(side, 30)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows("UPDATE public.checkpoints SET position = 0 WHERE generation = 'green' RETURNING 1")
    await side.rows("DELETE FROM green.tallies RETURNING 1")
    catching_up = CatchingUp(side.engine(), side.feed, near=0)
    async with side.pool.connection() as connection:
        for partition in range(side.history.partitions):
            await catching_up.run(connection, [SHADOW], partition)
    assert (await compared(side)).empty


async def test_diff_brings_a_shadow_that_lags_level_first(side: ReadSide) -> None:
    await projected(side, 10)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows("UPDATE public.checkpoints SET position = 0 WHERE generation = 'green' RETURNING 1")
    await side.rows("DELETE FROM green.tallies RETURNING 1")
    assert (await compared(side)).empty


async def test_nothing_to_compare_before_a_rebuild(side: ReadSide) -> None:
    await projected(side, 1)
    with pytest.raises(NoShadow):
        await compared(side)


async def test_nothing_to_rebuild_before_the_projector_has_started(side: ReadSide) -> None:
    with pytest.raises(NothingToRebuild):
        await rebuild(side.tools(), side.engine(), [PROJECTION])


async def test_rebuild_under_load_joins_the_live_batches_and_stays_level(side: ReadSide) -> None:
    await side.register()
    write(side, 200)
    await side.publish()
    async with side.projector() as tools:
        await side.caught_up()
        writing = asyncio.create_task(keep_writing(side, rounds=30))
        await rebuild(tools, side.engine(), [PROJECTION])
        await writing
        await side.caught_up(SHADOW)
        await side.caught_up(LIVE)
        assert (await compared(side)).empty
        before = len(side.history.rows)
        write(side, 20)
        await side.publish(before)
        await side.caught_up(SHADOW)
    assert Counter((await side.totals("green")).values()) == Counter((await side.totals("blue")).values())


async def keep_writing(side: ReadSide, rounds: int) -> None:
    for _ in range(rounds):
        before = len(side.history.rows)
        write(side, 3)
        await side.publish(before)
        await asyncio.sleep(0.01)


async def test_interrupted_rebuild_is_finished_by_the_projector(side: ReadSide) -> None:
    await projected(side, 50)
    stop_after = 3

    def interrupt(partition: int, _: int, __: int) -> None:
        if partition == stop_after:
            raise KeyError("the terminal was closed")

    with pytest.raises(KeyError):
        await rebuild(side.tools(), side.engine(), [PROJECTION], interrupt)
    assert await side.positions(SHADOW) != side.history.last()
    async with side.projector():
        await side.caught_up(SHADOW)
    assert (await compared(side)).empty


async def test_switch_moves_the_pointer_and_rollback_moves_it_back(side: ReadSide) -> None:
    await projected(side, 5)
    await rebuild(side.tools(), side.engine(replace(PROJECTION, version=2)), [replace(PROJECTION, version=2)])
    switched = await switch(side.pool, "tallies")
    assert (switched.generation, switched.version) == ("green", 2)
    before = len(side.history.rows)
    write(side, 5)
    await side.apply(side.engine(), side.slices(before))
    back = await roll_back(side.pool, "tallies")
    assert (back.generation, back.version) == ("blue", 1)
    assert len(await side.totals("blue")) == 10  # the old generation was kept level all along


async def test_switch_is_announced_to_readers(side: ReadSide) -> None:
    await projected(side, 1)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    async with side.pool.connection() as listener:
        await listener.execute("LISTEN projected")
        await switch(side.pool, "tallies")
        heard = [note.channel async for note in listener.notifies(timeout=30, stop_after=1)]
        await listener.execute("UNLISTEN projected")
    assert heard == ["projected"]


@pytest.mark.parametrize(("move", "refusal"), [(switch, NothingToSwitchTo), (roll_back, NothingToRollBackTo)])
async def test_without_another_generation_nothing_moves(
    side: ReadSide, move: Callable[..., object], refusal: type[Exception]
) -> None:
    await projected(side, 1)
    with pytest.raises(refusal):
        await move(side.pool, "tallies")  # type: ignore[misc] # both are coroutine functions


async def test_generation_that_was_built_anew_is_nothing_to_roll_back_to(side: ReadSide) -> None:
    await projected(side, 1)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    with pytest.raises(NothingToRollBackTo):
        await roll_back(side.pool, "tallies")
    await switch(side.pool, "tallies")
    with pytest.raises(NothingToSwitchTo):
        await switch(side.pool, "tallies")


async def test_switch_refuses_a_generation_that_is_behind(side: ReadSide) -> None:
    await projected(side, 10)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows("UPDATE public.checkpoints SET position = 1 WHERE generation = 'green' RETURNING 1")
    with pytest.raises(WouldGoBack, match="behind"):
        await switch(side.pool, "tallies")


async def test_switch_refuses_a_generation_that_parked_what_is_live(side: ReadSide) -> None:
    (tally,) = await projected(side, 1)
    broken = replace(PROJECTION, folds={**PROJECTION.folds, TallyRaised: on_raised_wrongly})
    await rebuild(side.tools(), side.engine(broken), [PROJECTION])
    assert await side.rows("SELECT count(*) FROM public.parked_events WHERE generation = 'green'") == [(1,)]
    with pytest.raises(WouldGoBack, match="parked 1"):
        await switch(side.pool, "tallies")
    assert await side.totals("blue") == {str(tally): 1}


def on_raised_wrongly(_: object, __: object) -> None:
    raise ZeroDivisionError


async def test_second_rebuild_forgets_what_the_first_parked(side: ReadSide) -> None:
    await projected(side, 1)
    broken = replace(PROJECTION, folds={**PROJECTION.folds, TallyRaised: on_raised_wrongly})
    await rebuild(side.tools(), side.engine(broken), [PROJECTION])
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert (await compared(side)).empty
    assert await side.rows("SELECT count(*) FROM public.parked_events") == [(0,)]


async def test_rebuild_from_a_log_that_lost_events_is_refused(side: ReadSide) -> None:
    await projected(side, 10)
    del side.history.rows[10:]
    with pytest.raises(NotTheLog, match="was there"):
        await rebuild(side.tools(), side.engine(), [PROJECTION])


async def test_rows_that_were_removed_stay_removed_in_the_rebuilt_generation(side: ReadSide) -> None:
    tallies = await projected(side, 4)
    before = len(side.history.rows)
    side.history.append(f"tallies-{tallies[0]}", TallyClosed(tally_id=tallies[0]))
    await side.apply(side.engine(), side.slices(before))
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert await compared(side) == Difference(3, 0, 0, 0, [])


async def test_only_one_rebuilds_at_a_time(side: ReadSide) -> None:
    await projected(side, 3)
    async with side.pool.connection() as connection, claimed(connection, SHADOW) as mine:
        assert mine
        with pytest.raises(RebuildUnderWay, match="tallies/green"):
            await rebuild(side.tools(), side.engine(), [PROJECTION])
    assert (await rebuild(side.tools(), side.engine(), [PROJECTION])).events == 6


async def test_diff_gives_up_on_a_shadow_that_somebody_else_is_building(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_module, "ATTEMPTS", 2)
    await projected(side, 3)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows("UPDATE public.checkpoints SET position = 0 WHERE generation = 'green' RETURNING 1")
    async with side.pool.connection() as connection, claimed(connection, SHADOW):
        with pytest.raises(NeverLevel):
            await compared(side)


async def test_projection_that_was_never_registered_cannot_be_rebuilt(side: ReadSide) -> None:
    await projected(side, 1)
    with pytest.raises(NothingToRebuild):
        await rebuild(side.tools(), side.engine(), [replace(PROJECTION, name="others")])


async def test_rebuild_from_a_log_of_another_epoch_is_refused(side: ReadSide) -> None:
    await projected(side, 3)
    side.history.epoch = 2
    with pytest.raises(NotTheLog, match="epoch 2"):
        await rebuild(side.tools(), side.engine(), [PROJECTION])


async def test_units_that_do_not_stand_together_are_not_moved_together(side: ReadSide) -> None:
    await projected(side, 3)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await side.rows("UPDATE public.checkpoints SET position = 1 WHERE generation = 'green' RETURNING 1")
    async with side.pool.connection() as connection:
        with pytest.raises(Fenced):
            await CatchingUp(side.engine(), side.feed).run(connection, [LIVE, SHADOW], 0)


async def test_claim_on_a_broken_connection_is_not_kept(side: ReadSide) -> None:
    async with side.pool.connection() as connection, claimed(connection, SHADOW) as mine:
        assert mine
        await side.rows(f"SELECT pg_terminate_backend({connection.info.backend_pid})")
    async with side.pool.connection() as other, claimed(other, SHADOW) as mine:
        assert mine
