"""Who brings a generation forward: one at a time, for as long as it gives signs of life."""

import asyncio

import pytest

from query_service.projector import leases
from query_service.projector.catch_up import claimed
from query_service.projector.checkpoints import Unit
from tests.support.read_side import ReadSide, eventually

SHADOW = Unit("tallies", "green")


async def is_free(side: ReadSide) -> bool:
    async with side.pool.connection() as connection, claimed(connection, SHADOW) as mine:
        return mine


async def test_claim_is_kept_however_long_its_work_asks_the_database_nothing(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SILENCE", "2s")
    monkeypatch.setattr(leases, "BEAT_EVERY", 0.1)
    async with side.pool.connection() as connection:
        async with claimed(connection, SHADOW) as mine:
            assert mine
            await asyncio.sleep(3.0)
            assert not await is_free(side)
        assert await is_free(side)
        cursor = await connection.execute("SHOW idle_session_timeout")
        assert await cursor.fetchone() == ("0",), "others use the connection as they know it"


async def test_claim_of_a_process_that_is_frozen_is_free_after_a_while(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "SILENCE", "200ms")
    monkeypatch.setattr(leases, "BEAT_EVERY", 1_000.0)
    async with side.pool.connection() as connection, claimed(connection, SHADOW) as mine:
        assert mine
        await eventually(lambda: is_free(side), "somebody else goes on")


async def test_signs_of_life_do_not_get_into_the_work(side: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_EVERY", 0.001)
    async with side.pool.connection() as connection, claimed(connection, SHADOW):
        for number in range(100):
            async with connection.transaction(), connection.pipeline():
                cursors = [await connection.execute("SELECT %s::int", (number + each,)) for each in range(3)]
                await asyncio.sleep(0.002)
            assert [await cursor.fetchone() for cursor in cursors] == [(number + each,) for each in range(3)]
            await asyncio.sleep(0)
