"""What readers see while partitions move apart and generations change: no position skipped, no way back in time."""

import asyncio
from uuid import UUID

import pytest

from query_service.infrastructure import progress
from query_service.infrastructure.freshness import Freshness
from query_service.infrastructure.schema import AUDIT_COPY
from query_service.projector import generations
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.rebuild import rebuild
from query_service.projector.switch import roll_back, switch
from tests.projector.test_control import NAME, write
from tests.projector.test_projector import shares
from tests.support.read_side import ReadSide, eventually, reader_of
from tests.support.tallies import PROJECTION, TallyRaised

LIVE = Unit(NAME, "blue")


async def keep_writing(side: ReadSide, rounds: int) -> None:
    for _ in range(rounds):
        before = len(side.history.rows)
        write(side, 4)
        await side.publish(before)
        await asyncio.sleep(0.02)


async def seen(side: ReadSide, freshness: Freshness) -> tuple[int, int]:
    """(horizon, newest position that is there); fails if a list up to the horizon skipped anything."""
    await freshness.refresh()
    horizon = freshness.progress.horizon(AUDIT_COPY)
    found = [position for (position,) in await side.rows("SELECT position FROM public.audit_events ORDER BY position")]
    shown = [position for position in found if position <= horizon]
    assert shown == list(range(1, horizon + 1)), "a position was skipped"
    return horizon, found[-1]


async def test_no_reader_skips_what_a_stalled_partition_holds_back(side: ReadSide) -> None:
    write(side, 20)
    await side.publish()
    async with reader_of(side) as freshness, side.projector() as first, side.projector() as second:
        await side.caught_up()
        await eventually(lambda: shares(first, second, (4, 4)), "the two have shared the partitions")
        async with side.pool.connection() as stall, stall.transaction():
            await stall.execute(
                "SELECT position FROM public.checkpoints WHERE projection = %s AND partition = 0 FOR UPDATE",
                (LOG.projection,),
            )
            writing = asyncio.create_task(keep_writing(side, 40))
            ahead = 0
            while not writing.done():
                horizon, newest = await seen(side, freshness)
                ahead = max(ahead, newest - horizon)
            await writing
        assert ahead > 10, "the other partitions went on, so there was something to skip"

        async def complete() -> bool:
            return (await seen(side, freshness))[0] == len(side.history.rows)

        await eventually(complete, "the horizon reaches the end of the log")


async def test_reads_never_stop_and_never_go_back_while_generations_change(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "HOLDS", 2.0)
    monkeypatch.setattr(generations, "COMMITTED_WITHIN", 0.2)
    (tally,) = write(side, 1)
    write(side, 50)
    await side.publish()
    stop = asyncio.Event()
    async with reader_of(side) as freshness, side.projector() as tools:
        await side.caught_up(LIVE)
        await freshness.start()
        raising = asyncio.create_task(keep_raising(side, tally, stop))
        reading = asyncio.create_task(keep_reading(side, freshness, tally, stop))
        switched = []
        for _ in range(2):
            await rebuild(tools, side.engine(), [PROJECTION])
            switched.append((await switch(side.pool, NAME)).generation)
            switched.append((await roll_back(side.pool, NAME)).generation)
            await rebuild(tools, side.engine(), [PROJECTION])
            switched.append((await switch(side.pool, NAME)).generation)
        stop.set()
        await raising
        totals = await reading
    assert set(switched) == {"blue", "green"}
    assert len(totals) > 20
    assert totals == sorted(totals), "a reader went back in time"
    assert totals[-1] > totals[0]


async def keep_raising(side: ReadSide, tally: UUID, stop: asyncio.Event) -> None:
    while not stop.is_set():
        before = len(side.history.rows)
        side.history.append(f"tallies-{tally}", TallyRaised(tally_id=tally, by=1))
        await side.publish(before)
        await asyncio.sleep(0.01)


async def keep_reading(side: ReadSide, freshness: Freshness, tally: UUID, stop: asyncio.Event) -> list[int]:
    """Every total in the order in which it was read, as the query API reads; a row that is not there fails."""
    totals = []
    while not stop.is_set():
        picture = await freshness.reach(None, 1.0, NAME, whole=False)
        found = await side.totals(picture.generation(NAME))
        if picture.holds:
            totals.append(found[str(tally)])
        await asyncio.sleep(0.005)
    return totals
