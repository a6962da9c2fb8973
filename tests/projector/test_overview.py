"""What operators are shown: how far each read model is behind, in positions and in seconds."""

from dataclasses import replace

from query_service.projector.overview import Overview, overview
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.support.read_side import ReadSide, write
from tests.support.tallies import PROJECTION

MINUTE = 60_000_000


async def shown(side: ReadSide) -> Overview:
    (found,) = await overview(side.tools())
    return found


async def written_a_minute_ago(side: ReadSide, tallies: int) -> None:
    """Published, and not handled yet."""
    before = len(side.history.rows)
    write(side, tallies)
    aged = [row._replace(recorded_at=row.recorded_at - MINUTE) for row in side.history.rows[before:]]
    side.history.rows[before:] = aged
    await side.mark()


async def test_read_model_that_is_level_has_no_lag(side: ReadSide) -> None:
    await side.register()
    write(side, 5)
    await side.apply(side.engine(), side.slices())
    await side.mark()
    found = await shown(side)
    assert (found.lag, found.lag_seconds, found.horizon, found.rebuild_due) == (0, 0.0, 10, False)


async def test_lag_is_told_in_positions_and_as_the_age_of_the_oldest_event(side: ReadSide) -> None:
    await side.register()
    await written_a_minute_ago(side, 5)
    found = await shown(side)
    assert found.lag == 10
    assert found.lag_seconds is not None
    assert 60 <= found.lag_seconds < 90


async def test_who_cannot_be_asked_makes_the_lag_unknown(side: ReadSide) -> None:
    await side.register()
    assert (await shown(side)).lag_seconds is None  # no mark
    await written_a_minute_ago(side, 1)
    side.feed_server.away = True
    found = await shown(side)
    assert (found.lag, found.lag_seconds) == (2, None)


async def test_mark_of_a_log_with_fewer_partitions_makes_the_lag_unknown(side: ReadSide) -> None:
    await side.register()
    await written_a_minute_ago(side, 5)
    await side.redis.set(MARK_KEY, Mark(1, 10, (10,), 1).encode())
    found = await shown(side)
    assert (found.lag, found.lag_seconds, found.horizon) == (None, None, 0)


async def test_rows_of_another_version_are_due_for_a_rebuild(side: ReadSide) -> None:
    await side.register(replace(PROJECTION, version=7))
    assert (await shown(side)).rebuild_due
