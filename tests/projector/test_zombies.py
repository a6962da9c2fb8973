"""The fence: whoever comes too late, or twice, with a batch has no effect, whatever the leases say."""

from typing import Any

import pytest
from psycopg import AsyncConnection

from query_service.projector import leases
from query_service.projector.checkpoints import Fenced
from query_service.projector.leases import Leases
from tests.projector.test_engine import TALLIES, open_and_raise
from tests.support.read_side import ReadSide, eventually


async def test_batch_that_arrives_again_is_fenced_and_changes_nothing(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side, 1, 2)
    engine, batch = side.engine(), side.slices()
    await side.apply(engine, batch)
    with pytest.raises(Fenced):
        await side.apply(engine, batch)
    assert await side.totals() == {str(tally): 3}


async def test_zombie_that_commits_after_another_process_has_advanced_is_fenced(side: ReadSide) -> None:
    await side.register()
    tally = open_and_raise(side, *([1] * 9))
    zombie, successor = side.engine(), side.engine()
    read_by_zombie = side.slices(0, 10)
    await side.apply(successor, side.slices(0, 4))
    await side.apply(successor, side.slices(4, 10))
    with pytest.raises(Fenced):
        await side.apply(zombie, read_by_zombie)
    assert await side.totals() == {str(tally): 9}
    assert await side.rows("SELECT count(*) FROM public.audit_events") == [(10,)]


@pytest.mark.parametrize("zombie_commits", [True, False])
async def test_zombie_within_its_transaction_and_its_successor_have_one_effect(
    side: ReadSide, *, zombie_commits: bool
) -> None:
    await side.register()
    tally = open_and_raise(side, *([1] * 9))
    await side.publish()
    async with (
        leases.session(side.query_url) as session,
        await AsyncConnection.connect(side.query_url, autocommit=True) as zombie,
    ):
        lease = Leases(session, side.history.partitions)
        await lease.rebalance()
        async with side.projector() as successor:
            await eventually(lambda: has_members(side, 2), "the successor stands by")
            async with zombie.transaction(force_rollback=not zombie_commits):
                await side.engine().apply(zombie, [await side.engine().prepare(each) for each in side.slices()])
                await session.close()  # the successor gets all partitions; the zombie has written, but not committed
                await eventually(lambda: waits_for(side, zombie), "the successor waits at the gate")
                assert (len(lease.held), await side.totals()) == (side.history.partitions, {})
            await side.caught_up(TALLIES)
        assert successor.status.fenced._value.get() == zombie_commits
    assert await side.totals() == {str(tally): 9}
    assert await side.rows("SELECT count(*), count(DISTINCT position) FROM public.audit_events") == [(10, 10)]


async def has_members(side: ReadSide, count: int) -> bool:
    query = (
        "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database"
        " WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.classid = %s::bigint::oid"
    )
    return await side.rows(query, leases.MEMBERSHIP) == [(count,)]


async def waits_for(side: ReadSide, other: AsyncConnection[Any]) -> bool:
    query = "SELECT pid FROM pg_catalog.pg_stat_activity WHERE %s = ANY(pg_catalog.pg_blocking_pids(pid))"
    return bool(await side.rows(query, other.info.backend_pid))


async def test_zombie_in_one_partition_throws_the_whole_batch_away(side: ReadSide) -> None:
    await side.register()
    for _ in range(20):
        open_and_raise(side, 1)
    everything = side.slices()
    assert len(everything) > 1
    await side.apply(side.engine(), everything[:1])
    with pytest.raises(Fenced):
        await side.apply(side.engine(), everything)
    assert sum(await side.positions()) == everything[0].upto
