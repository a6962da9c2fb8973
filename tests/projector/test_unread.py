"""What was live is emptied only when nobody reads it any more, however soon a rebuild follows a switch."""

import asyncio

import pytest

from query_service.infrastructure import progress
from query_service.projector import generations, rebuilding
from query_service.projector.checkpoints import Unit
from query_service.projector.rebuild import SwitchedMeanwhile, rebuild
from query_service.projector.switch import roll_back, switch
from tests.projector.test_rebuild import projected
from tests.support.read_side import ReadSide, reader_of
from tests.support.tallies import PROJECTION

SHADOW = Unit("tallies", "green")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures hold for one second, and a switch is seen at once."""
    monkeypatch.setattr(progress, "HOLDS", 1.0)
    monkeypatch.setattr(generations, "COMMITTED_WITHIN", 0.1)


@pytest.mark.parametrize("back", [False, True], ids=["switch", "switch and rollback"])
async def test_who_has_not_heard_of_the_switch_still_finds_the_rows(side: ReadSide, brief: None, back: bool) -> None:
    await projected(side, 3)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    if back:
        await switch(side.pool, "tallies")
    async with reader_of(side) as reader:
        await reader.refresh()
        stale = reader.progress
    await (roll_back if back else switch)(side.pool, "tallies")
    again = asyncio.create_task(rebuild(side.tools(), side.engine(), [PROJECTION]))
    readings = 0
    while stale.holds:
        found = await side.totals(stale.generation("tallies"))
        assert len(found) == 3 or not stale.holds, "rows were gone that a query process still read"
        readings += 1
    assert readings > 3
    assert (await again).events == 6


async def test_nobody_waits_for_a_shadow_that_was_never_live(side: ReadSide) -> None:
    await projected(side, 1)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    async with side.pool.connection() as connection:
        assert await generations.still_read(connection, ["tallies"]) == 0
    await switch(side.pool, "tallies")
    async with side.pool.connection() as connection:
        assert progress.HOLDS - 5 < await generations.still_read(connection, ["tallies"]) <= progress.HOLDS + 1


async def test_switch_during_the_wait_takes_the_rebuild_its_shadow(side: ReadSide, brief: None) -> None:
    tallies = await projected(side, 2)
    await rebuild(side.tools(), side.engine(), [PROJECTION])
    await switch(side.pool, "tallies")
    waiting = asyncio.create_task(rebuild(side.tools(), side.engine(), [PROJECTION]))
    await asyncio.sleep(0.3)
    await roll_back(side.pool, "tallies")
    with pytest.raises(SwitchedMeanwhile):
        await waiting
    assert len(await side.totals("blue")) == len(await side.totals("green")) == len(tallies)


async def test_cancel_does_not_touch_what_was_switched_to_without_a_word(side: ReadSide) -> None:
    await projected(side, 2)
    await rebuilding.start(side.tools(), PROJECTION, at_once=False)
    async with side.projector():
        await side.caught_up(SHADOW)
    await switch(side.pool, "tallies")  # and whoever did it died before it was noted
    await side.rows("UPDATE public.rebuilds SET state = 'built' RETURNING 1")
    await side.rows("UPDATE public.projections SET switched_at = switched_at - interval '1 minute' RETURNING 1")
    with pytest.raises(SwitchedMeanwhile):
        await rebuilding.cancel(side.tools(), PROJECTION)
    assert len(await side.totals("green")) == 2
