"""The log was restored from a backup: the read side follows it into its new epoch, or says why it does not."""

from uuid import uuid4

import pytest

from query_service.projector.batch import NotTheLog
from query_service.projector.checkpoints import Fenced, Unit
from query_service.projector.projector import decoder_of
from query_service.projector.succession import follow
from query_service.projector.verification import verify_all
from shared_kernel.events.operations import ParkedSkipApproved, RebuildPaused
from tests.projector.test_control import NAME, ask, listening
from tests.support.read_side import ReadSide, eventually, has_no_reason, has_reason, write
from tests.support.tallies import PROJECTION, REGISTRY, TallyOpened, TallyRaised

TALLIES = Unit("tallies", "blue")
LEARNT = "SELECT epoch, followed, agreed_upto, lost, whole_since IS NOT NULL FROM public.log_epochs"


async def is_whole(side: ReadSide) -> None:
    """Sums, rows and audit copy are what the log as it is now says."""
    tools = side.tools()
    assert await verify_all(tools, decoder_of(tools, REGISTRY, side.vault), [PROJECTION]) == []
    assert await side.rows("SELECT DISTINCT epoch FROM public.checkpoints") == [(side.history.epoch,)]


async def followed(side: ReadSide) -> None:
    await side.caught_up()
    await side.caught_up(TALLIES)

    async def whole() -> bool:
        return (True,) not in await side.rows("SELECT whole_since IS NULL FROM public.log_epochs")

    await eventually(whole, "the read models are whole again")


async def projected(side: ReadSide, count: int = 30) -> None:
    await side.register()
    write(side, count)
    await side.publish()
    await side.apply(side.engine(), side.slices())


async def test_lost_events_leave_read_models_and_copy_and_are_kept_aside(side: ReadSide) -> None:
    async with side.projector() as tools:
        write(side, 30)
        await side.publish()
        await side.caught_up()
        side.history.restore(41)  # in the middle of a tally
        side.history.epoch = 2
        write(side, 5)
        await side.publish(after=41)
        await followed(side)
        assert await side.rows(LEARNT) == [(2, 1, 41, 19, True)]
        await eventually(lambda: has_no_reason(tools, "partitions"), "all is well again")
        await eventually(lambda: has_no_reason(tools, "projections"), "nothing lags")
    assert sorted((await side.totals()).values()) == [0, *[1] * 25]
    lost = await side.rows("SELECT lost_to, min(position), max(position), count(*) FROM public.lost_events GROUP BY 1")
    assert lost == [(2, 42, 60, 19)]
    await is_whole(side)


async def test_log_that_lost_nothing_is_followed_without_building_anything(side: ReadSide) -> None:
    await projected(side)
    side.history.epoch = 2
    write(side, 5)
    await side.publish(after=60)
    async with side.projector():
        await followed(side)
    assert await side.rows(LEARNT) == [(2, 1, 60, 0, True)]
    assert await side.rows("SELECT count(*) FROM public.lost_events") == [(0,)]
    await is_whole(side)


async def test_log_that_was_restored_and_written_on_before_its_new_epoch_is_told_apart_by_leaves(
    side: ReadSide,
) -> None:
    await projected(side)
    side.history.restore(20)
    write(side, 40)
    side.history.epoch = 2
    async with side.projector():
        await side.mark()
        await followed(side)
    assert await side.rows(LEARNT) == [(2, 1, 20, 40, True)]
    assert len(await side.totals()) == 50
    await is_whole(side)


async def test_read_models_behind_the_restored_point_only_catch_up(side: ReadSide) -> None:
    await projected(side, 10)
    write(side, 40)
    side.history.restore(50)
    side.history.epoch = 3
    async with side.projector():
        await side.mark()
        await followed(side)
    assert await side.rows(LEARNT) == [(3, 1, 20, 0, True)]
    await is_whole(side)


async def test_other_log_in_a_later_epoch_is_not_followed(side: ReadSide) -> None:
    await projected(side)
    side.history.restore(0)
    side.history.epoch = 2
    write(side, 40)
    await side.mark()
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the other log is reported")
        assert "another log" in (await tools.status.readiness())["partitions"]
    assert await side.rows("SELECT count(*) FROM public.audit_events") == [(60,)]
    assert await side.rows(LEARNT) == []


async def test_batch_of_the_lost_branch_that_comes_late_changes_nothing(side: ReadSide) -> None:
    await projected(side)
    write(side, 5)
    late = side.slices(60)
    side.history.restore(60)
    side.history.epoch = 2
    async with side.pool.connection() as connection:
        assert await follow(connection, side.feed, [PROJECTION]) == 2
    with pytest.raises(Fenced):
        await side.apply(side.engine(), late)
    await is_whole(side)


async def test_both_generations_are_built_anew(side: ReadSide) -> None:
    await projected(side)
    await side.rows("UPDATE public.projections SET shadow_version = 1, shadow_built_at = now() RETURNING 1")
    await side.rows(
        "INSERT INTO public.checkpoints SELECT projection, 'green', partition, position, epoch, handled_sum, now()"
        " FROM public.checkpoints WHERE projection = 'tallies' RETURNING 1"
    )
    await side.rows("INSERT INTO green.tallies SELECT * FROM blue.tallies RETURNING 1")
    side.history.restore(40)
    side.history.epoch = 2
    async with side.projector():
        await side.mark()
        await followed(side)
        await side.caught_up(Unit("tallies", "green"))
    assert await side.totals("green") == await side.totals("blue")
    assert len(await side.totals()) == 20


async def test_skip_of_an_event_that_is_lost_is_forgotten_with_it(side: ReadSide) -> None:
    sick = uuid4()
    await projected(side, 10)
    lost = side.history.append(f"tallies-{sick}", TallyOpened(tally_id=sick), TallyRaised(tally_id=sick, by=-1))
    await side.apply(side.engine(), side.slices(20))
    await side.rows(
        "INSERT INTO public.skipped_events (projection, position, partition, tenant, stream, topic, reason, actor)"
        " VALUES ('tallies', %s, %s, 'default', %s, '', 'orphan', 'ada') RETURNING 1",
        lost[1].position,
        side.history.partition(lost[1]),
        lost[1].stream,
    )
    side.history.restore(20)
    side.history.epoch = 2
    write(side, 5)
    async with side.projector():
        await side.mark()
        await followed(side)
    assert await side.rows("SELECT count(*) FROM public.skipped_events") == [(0,)]
    assert await side.rows("SELECT count(*) FROM public.parked_events") == [(0,)]
    assert len(await side.totals()) == 15
    await is_whole(side)


async def test_requests_of_operators_are_neither_done_again_nor_done_when_lost(side: ReadSide) -> None:
    write(side, 10)
    await side.publish()
    async with side.projector():
        await side.caught_up()
        await listening(side)
        await ask(side, RebuildPaused(projection=NAME))
        await eventually(lambda: side.rows("SELECT 1 FROM public.orders WHERE state = 'refused'"), "it is refused")
    skip = ParkedSkipApproved(projection=NAME, of_tenant="default", stream="x", position=3, reason="r")
    (lost,) = side.history.append(f"operations-{NAME}", skip)
    await side.apply(side.engine(), side.slices(21))
    await side.rows(
        "INSERT INTO public.orders (position, epoch, projection, action, details, actor)"
        " VALUES (%s, 1, 'tallies', 'skip', '{}', 'ada') RETURNING 1",
        lost.position,
    )
    side.history.restore(21)
    side.history.epoch = 2
    async with side.pool.connection() as connection:
        await follow(connection, side.feed, [PROJECTION])
    async with side.projector():
        await side.mark()
        await followed(side)
        await ask(side, RebuildPaused(projection=NAME))
        query = "SELECT epoch, position, action, state FROM public.orders ORDER BY position, epoch"
        expected = [(2, 21, "pause", "refused"), (1, 22, "skip", "refused"), (2, 22, "pause", "refused")]

        async def settled() -> bool:
            return await side.rows(query) == expected

        await eventually(settled, "only what is asked in the new epoch is done")


async def test_feed_that_is_away_is_waited_for(side: ReadSide) -> None:
    await projected(side)
    side.history.restore(40)
    side.history.epoch = 2
    side.feed_server.away = True
    async with side.projector() as tools:
        await side.mark()
        await eventually(lambda: has_reason(tools, "partitions"), "the other epoch is reported")
        side.feed_server.away = False
        await followed(side)
    await is_whole(side)


async def test_release_that_does_not_know_a_read_model_leaves_the_repair_to_one_that_does(side: ReadSide) -> None:
    await projected(side)
    side.history.restore(40)
    side.history.epoch = 2
    async with side.pool.connection() as connection:
        with pytest.raises(NotTheLog, match="only a release that knows tallies"):
            await follow(connection, side.feed, [])
    assert await side.rows("SELECT DISTINCT epoch FROM public.checkpoints") == [(1,)]


async def test_log_that_was_restored_and_written_on_is_noticed_though_redis_was_empty(side: ReadSide) -> None:
    async with side.projector():
        write(side, 20)
        await side.publish()
        await side.caught_up()
    side.history.restore(10)
    write(side, 40)
    await side.redis.flushall()
    await side.publish(after=70)
    standing = await side.positions()
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "partitions"), "the other history is reported")
        assert "is not in the log as it is in our copy" in (await tools.status.readiness())["partitions"]
        assert await side.positions() == standing
        side.history.epoch = 2
        await side.mark()
        await followed(side)
        await eventually(lambda: has_no_reason(tools, "partitions"), "all is well again")
    await is_whole(side)
