"""Operators' requests: heard whatever the batches are doing, carried out once, and their outcome kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from query_service.infrastructure.projection import Projection, Row
from query_service.projector import rebuilding as rebuilding_module
from query_service.projector.checkpoints import Unit
from query_service.projector.diff import Difference, diff
from query_service.projector.engine import Engine
from query_service.projector.shift import Tools
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.operations import (
    ParkedRetryRequested,
    ParkedSkipApproved,
    RebuildCancelled,
    RebuildPaused,
    RebuildRequested,
    RebuildResumed,
    RollbackRequested,
    SwitchApproved,
)
from tests.support.read_side import ReadSide, eventually
from tests.support.tallies import PROJECTION, TallyOpened, TallyRaised, on_raised

NAME = "tallies"
LIVE, SHADOW = Unit(NAME, "blue"), Unit(NAME, "green")


def write(side: ReadSide, count: int, by: int = 1) -> list[UUID]:
    tallies = [uuid4() for _ in range(count)]
    for tally in tallies:
        side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally), TallyRaised(tally_id=tally, by=by))
    return tallies


async def ask(side: ReadSide, *events: Event) -> None:
    """What the command service writes and the relay publishes."""
    before = len(side.history.rows)
    side.history.append(f"operations-{NAME}", *events)
    await side.publish(before)


async def listening(side: ReadSide) -> None:
    """The control loop has begun its book, so that whatever follows is news."""
    await eventually(lambda: side.rows("SELECT position FROM public.orders_heard"), "the book of requests is begun")


def settled(side: ReadSide, *expected: tuple[str, str]) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        query = "SELECT action, state FROM public.orders WHERE state <> 'waiting' ORDER BY position"
        return await side.rows(query) == list(expected)

    return look


async def rebuild_is(side: ReadSide, state: str) -> None:
    async def look() -> bool:
        return await side.rows("SELECT state FROM public.rebuilds") == [(state,)]

    await eventually(look, f"the rebuild is {state}")


async def active(side: ReadSide) -> str:
    [(generation,)] = await side.rows("SELECT active FROM public.projections WHERE name = 'tallies'")
    return str(generation)


@asynccontextmanager
async def operated(side: ReadSide, tallies: int) -> AsyncIterator[None]:
    """A projector that has handled so many tallies and listens to operators."""
    write(side, tallies)
    await side.publish()
    async with side.projector():
        await side.caught_up(LIVE)
        await listening(side)
        yield


async def test_rebuild_waits_for_approval_then_answers_then_goes_back(side: ReadSide) -> None:
    async with operated(side, 20):
        await ask(side, RebuildRequested(projection=NAME))
        await rebuild_is(side, "built")
        assert await side.rows("SELECT difference FROM public.rebuilds") == [
            ({"rows": 20, "missing": 0, "unexpected": 0, "different": 0},)
        ]
        assert await active(side) == "blue"
        await ask(side, SwitchApproved(projection=NAME))
        await rebuild_is(side, "switched")
        assert await active(side) == "green"
        await ask(side, RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rebuild", "done"), ("switch", "done"), ("rollback", "done")), "all is done")
        assert await active(side) == "blue"


async def test_rebuild_at_once_needs_no_second_word(side: ReadSide) -> None:
    async with operated(side, 5):
        await ask(side, RebuildRequested(projection=NAME, at_once=True))
        await rebuild_is(side, "switched")
        assert await active(side) == "green"


async def test_paused_rebuild_rests_until_it_is_resumed(side: ReadSide) -> None:
    async with operated(side, 30):
        await ask(side, RebuildRequested(projection=NAME), RebuildPaused(projection=NAME))  # heard at the same look
        await rebuild_is(side, "paused")
        await asyncio.sleep(2.0)
        assert sum(await side.positions(SHADOW)) == 0
        await ask(side, RebuildResumed(projection=NAME))
        await rebuild_is(side, "built")
        assert await side.totals("green") == await side.totals("blue")


async def begun_at_once(side: ReadSide) -> tuple[Tools, rebuilding_module.Rebuilding]:
    """A rebuild that is to answer as soon as it is compared, and who works on it."""
    await side.register()
    write(side, 5)
    await side.apply(side.engine(), side.slices())
    tools = side.tools()
    await rebuilding_module.start(tools, PROJECTION, at_once=True)
    return tools, rebuilding_module.Rebuilding(tools, side.engine(), side.history.partitions)


async def test_rebuild_that_is_paused_while_it_is_compared_does_not_answer_at_once(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, working = await begun_at_once(side)

    async def interrupted(tools: Tools, engine: Engine, projection: Projection) -> Difference:
        await rebuilding_module.pause(tools, projection.name)
        return await diff(tools, engine, projection)

    with monkeypatch.context() as patched:
        patched.setattr(rebuilding_module, "diff", interrupted)
        await working.work((await working.look())[0], PROJECTION)
    assert (await active(side), await side.rows("SELECT state FROM public.rebuilds")) == ("blue", [("paused",)])
    await rebuilding_module.resume(tools, NAME)
    await working.work((await working.look())[0], PROJECTION)
    assert (await active(side), await side.rows("SELECT state FROM public.rebuilds")) == ("green", [("switched",)])


async def test_rebuild_that_is_begun_anew_while_the_one_before_is_compared_is_not_taken_for_it(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, working = await begun_at_once(side)

    async def overtaken(tools: Tools, engine: Engine, projection: Projection) -> Difference:
        found = await diff(tools, engine, projection)
        await rebuilding_module.cancel(tools, projection)
        await rebuilding_module.start(tools, projection, at_once=False)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(rebuilding_module, "diff", overtaken)
        await working.work((await working.look())[0], PROJECTION)
    found = await side.rows("SELECT state, reason, difference FROM public.rebuilds")
    assert (await active(side), found) == ("blue", [("running", "", None)])


async def test_cancelled_rebuild_leaves_no_trace_and_live_rows_alone(side: ReadSide) -> None:
    async with operated(side, 5):
        await ask(side, RebuildRequested(projection=NAME))
        await rebuild_is(side, "built")
        await ask(side, RebuildCancelled(projection=NAME))
        await rebuild_is(side, "cancelled")
    assert (await side.totals("green"), await side.positions(SHADOW)) == ({}, [])
    assert len(await side.totals("blue")) == 5


async def test_request_is_carried_out_once_by_two_projectors_and_kept_from_those_to_come(side: ReadSide) -> None:
    write(side, 3)
    await side.publish()
    async with side.projector():
        async with side.projector():
            await side.caught_up(LIVE)
            await listening(side)
            await ask(side, RebuildRequested(projection=NAME, at_once=True))
            await rebuild_is(side, "switched")
        await ask(side, RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rebuild", "done"), ("rollback", "done")), "both are done")
    async with side.projector():
        await asyncio.sleep(1.0)
    assert await active(side) == "blue"


async def test_request_of_the_past_is_not_repeated_by_a_new_query_database(side: ReadSide) -> None:
    (poison,) = write(side, 1, by=-1)
    skip = ParkedSkipApproved(
        projection=NAME, of_tenant="default", stream=f"tallies-{poison}", position=2, reason="faulty"
    )
    side.history.append(f"operations-{NAME}", RebuildRequested(projection=NAME), skip)
    async with side.projector():
        await listening(side)
        await side.publish()
        await side.caught_up(LIVE)
    assert await side.rows("SELECT action, state FROM public.orders ORDER BY position") == [
        ("rebuild", "done"),
        ("skip", "done"),
    ]
    assert await side.rows("SELECT projection FROM public.rebuilds") == []
    assert await side.rows("SELECT position FROM public.parked_events") == []
    assert await side.totals() == {str(poison): 0}


async def test_what_was_carried_out_at_the_command_line_is_only_kept(side: ReadSide) -> None:
    async with operated(side, 1):
        await ask(side, RebuildRequested(projection=NAME, carried_out=True))
        await eventually(settled(side, ("rebuild", "done")), "it is kept")
    assert await side.rows("SELECT projection FROM public.rebuilds") == []


@pytest.mark.parametrize(
    "event", [RebuildPaused(projection=NAME), RebuildResumed(projection=NAME), RebuildCancelled(projection=NAME)]
)
async def test_what_cannot_be_done_is_refused_with_a_reason(side: ReadSide, event: Event) -> None:
    write(side, 1)
    await side.publish()
    async with side.projector():
        await listening(side)
        await ask(side, event, RebuildRequested(projection="nonsense"))
        await eventually(lambda: side.rows("SELECT 1 FROM public.orders WHERE projection = 'nonsense'"), "heard")

        async def both() -> bool:
            return await side.rows("SELECT DISTINCT state FROM public.orders") == [("refused",)]

        await eventually(both, "both are refused")


def skip_order(position: int = 1, reason: str = "faulty") -> bytes:
    order = {"projection": NAME, "of_tenant": "default", "stream": "s", "position": position, "reason": reason}
    return json.dumps(order).encode()


@pytest.mark.parametrize(
    "payload",
    [b"{}", b"[]", b"\xff", b'{"projection": 7}', skip_order(reason="\0"), skip_order(position=2**63)],
    ids=["empty", "list", "bytes", "number", "what no text holds", "what no bigint holds"],
)
async def test_request_that_nobody_can_read_is_passed_over(side: ReadSide, payload: bytes) -> None:
    async with operated(side, 1):
        before = len(side.history.rows)
        side.history.append_bytes(f"operations-{NAME}", ParkedSkipApproved.TOPIC, payload)
        await side.publish(before)
        await ask(side, RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rollback", "refused")), "the next one was heard")


def forgiving(row: Row | None, recorded: Recorded[TallyRaised]) -> Row:
    """The fixed code."""
    event = recorded.event
    return on_raised(row, replace(recorded, event=event.model_copy(update={"by": abs(event.by)})))


FIXED: Projection = replace(PROJECTION, folds={**PROJECTION.folds, TallyRaised: forgiving})


async def test_retry_applies_fixed_code_and_later_events_follow_in_order(side: ReadSide) -> None:
    (poison,) = write(side, 1, by=-1)
    side.history.append(f"tallies-{poison}", TallyRaised(tally_id=poison, by=5))
    await side.publish()
    async with side.projector():
        await side.caught_up(LIVE)
        assert await side.totals() == {str(poison): 0}
        await listening(side)
    async with side.projector(FIXED):
        await ask(side, ParkedRetryRequested(projection=NAME, of_tenant="default", stream=f"tallies-{poison}"))
        await eventually(lambda: nothing_parked(side), "nothing is parked any more")
    assert await side.rows("SELECT total, steps FROM blue.tallies") == [(6, [1, 5])]


async def nothing_parked(side: ReadSide) -> bool:
    return not await side.rows("SELECT position FROM public.parked_events")
