"""Lag in seconds is the age of what waits, not the time since nothing last waited."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_service.infrastructure.freshness import SAVE_MARK
from query_service.infrastructure.lateness import MOST, Lateness
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.clock import microseconds
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.partition import partition_of
from tests.query_service.test_freshness import ADA, another_process
from tests.support.query_side import PARTITIONS, QuerySide

NAME = "resources"


def mark(head: int, epoch: int = 1) -> Mark:
    return Mark(epoch, head, (head,), 0)


def test_reader_that_is_always_a_little_behind_stays_a_little_late() -> None:
    lateness = Lateness()
    for tick in range(10_000):
        head, now = 3 * (tick + 1), tick * 0.25
        lateness.saw(mark(head), now)
        lateness.handled(head - 3)
        assert lateness.since(NAME, head - 3) == now


def test_reader_that_is_stuck_grows_old_however_much_is_seen_meanwhile() -> None:
    lateness = Lateness()
    for tick in range(10 * MOST):
        lateness.saw(mark(tick + 1), float(tick))
        lateness.handled(4)
    assert lateness.since(NAME, 4) == 4.0
    assert len(lateness._ends) <= MOST


def test_who_is_level_waits_for_nothing() -> None:
    lateness = Lateness()
    assert lateness.since(NAME, 0) is None
    lateness.saw(mark(7), 1.0)
    assert lateness.since(NAME, 7) is None


def test_another_epoch_is_another_log() -> None:
    lateness = Lateness()
    lateness.saw(mark(100), 1.0)
    lateness.saw(mark(5, epoch=2), 9.0)
    assert lateness.since(NAME, 0) == 9.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=200))
def test_age_is_never_more_than_that_of_the_oldest_end_beyond_the_horizon(steps: list[tuple[int, int]]) -> None:
    lateness, head, horizon, seen = Lateness(), 0, 0, []
    for tick, (written, read) in enumerate(steps):
        head += written
        horizon = min(head, horizon + read)
        seen.append((head, float(tick)))
        lateness.saw(mark(head), float(tick))
        lateness.handled(horizon)
        expected = min((at for end, at in seen if end > horizon), default=None)
        assert lateness.since(NAME, horizon) == expected


async def test_lag_stays_small_under_a_load_that_never_rests(query_side: QuerySide) -> None:
    async with another_process(query_side) as (freshness, _):
        begun = time.monotonic()
        for _ in range(25):
            await query_side.create(ADA)
            await query_side.publish_mark()
            await freshness.refresh()
            assert freshness.positions_behind(NAME) > 0
            late = freshness.seconds_behind(NAME)
            await asyncio.sleep(0.04)
            await query_side.project()
        assert late < (time.monotonic() - begun) / 4
        await query_side.publish_mark()
        await freshness.refresh()
        assert (freshness.positions_behind(NAME), freshness.seconds_behind(NAME)) == (0, 0.0)


async def test_who_starts_beside_a_projector_that_is_stuck_says_for_how_long(query_side: QuerySide) -> None:
    for _ in range(8):
        await query_side.create(ADA)
    stuck = partition_of(query_side.log.rows[-1].slot, PARTITIONS)
    await query_side.project(*{0, 1, 2, 3} - {stuck})
    await query_side.publish_mark()
    await query_side.sql(
        "UPDATE public.checkpoints SET updated_at = now() - interval '1 hour' WHERE partition = %s", stuck
    )
    async with another_process(query_side) as (freshness, _):
        assert freshness.positions_behind(NAME) > 0
        assert 3600 <= freshness.seconds_behind(NAME) < 3700
        assert 3600 <= freshness.seconds_behind(AUDIT_COPY) < 3700
        await query_side.project()
        await freshness.refresh()
        assert freshness.seconds_behind(NAME) == 0.0


@pytest.mark.parametrize(("head", "least", "most"), [(5, 0, 60), (8, 1800, 1900)], ids=["handled", "not handled"])
async def test_mark_that_was_kept_tells_how_long_its_events_have_waited(
    query_side: QuerySide, head: int, least: float, most: float
) -> None:
    for _ in range(5):
        await query_side.create(ADA)
    await query_side.project()
    for _ in range(4):
        await query_side.create(ADA)
    kept = {"epoch": 1, "head": head, "last": last_of(query_side, head), "at": microseconds_ago(1800)}
    async with await psycopg.AsyncConnection.connect(query_side.database_url, autocommit=True) as connection:
        await connection.execute(SAVE_MARK, kept)
    async with another_process(query_side) as (freshness, _):
        await query_side.publish_mark()
        await freshness.refresh()
        assert freshness.positions_behind(NAME) > 0
        assert least <= freshness.seconds_behind(NAME) < most


def last_of(query_side: QuerySide, head: int) -> list[int]:
    return [
        max((row.position for row in query_side.log.partition(n) if row.position <= head), default=0)
        for n in range(PARTITIONS)
    ]


def microseconds_ago(seconds: int) -> int:
    return microseconds(datetime.now(UTC) - timedelta(seconds=seconds))
