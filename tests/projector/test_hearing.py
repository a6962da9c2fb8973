"""How operators' requests are heard: from the log alone, soon, and again after every kind of trouble."""

from copy import deepcopy
from typing import Any

import psycopg
import pytest

from query_service.projector import control as control_module
from query_service.projector import orders
from query_service.projector.leases import OPERATING
from shared_kernel.events.contract import Event
from shared_kernel.events.operations import (
    ParkedSkipApproved,
    RebuildCancelled,
    RebuildRequested,
    RollbackRequested,
    SwitchApproved,
)
from shared_kernel.messaging.message import Message, encode
from shared_kernel.messaging.operations import OPERATIONS_KEY
from tests.projector.test_control import NAME, active, ask, listening, operated, settled, write
from tests.support.pauses import noted_pauses
from tests.support.read_side import ReadSide, eventually


async def put(side: ReadSide, message: Message) -> None:
    """An entry on the stream of requests, and in no partition's stream."""
    fields: dict[Any, Any] = dict(encode(message))
    await side.redis.xadd(OPERATIONS_KEY, fields, id=message.entry_id)


async def test_stuck_projector_still_hears(side: ReadSide) -> None:
    async with operated(side, 5):
        side.history.append(f"operations-{NAME}", RollbackRequested(projection=NAME))
        await put(side, side.history.messages(len(side.history.rows) - 1)[0])
        await eventually(settled(side, ("rollback", "refused")), "it was heard")
    assert await side.rows("SELECT outcome FROM public.orders") == [
        ("tallies has no generation that was live before.",)
    ]


@pytest.mark.parametrize(
    "wish",
    [
        RebuildRequested(projection=NAME, at_once=True),
        SwitchApproved(projection=NAME),
        ParkedSkipApproved(projection=NAME, of_tenant="default", stream="tallies-1", position=1, reason="forged"),
    ],
)
async def test_request_that_is_only_in_redis_is_nobodys_and_takes_no_real_ones_place(
    side: ReadSide, wish: Event
) -> None:
    async with operated(side, 5):
        forged = deepcopy(side.history)
        forged.append(f"operations-{NAME}", wish)
        looked = side.feed_server.looked
        await put(side, forged.messages(len(side.history.rows))[0])
        await eventually(lambda: has_looked(side, looked), "the entry is a wake-up")
        assert await side.rows("SELECT action FROM public.orders") == []
        side.history.append(f"operations-{NAME}", RollbackRequested(projection=NAME), RebuildCancelled(projection=NAME))
        await put(side, side.history.messages(len(side.history.rows) - 1)[0])  # Redis refuses the first one by now
        await eventually(settled(side, ("rollback", "refused"), ("cancel", "refused")), "the real ones are heard")
    assert await active(side) == "blue"


async def has_looked(side: ReadSide, before: int) -> bool:
    return side.feed_server.looked > before


async def test_what_could_not_be_entered_is_asked_for_again_at_once(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, failures = orders.add, iter([True])

    async def add_after_a_failure(*arguments: Any) -> None:
        if next(failures, False):
            raise psycopg.OperationalError("the connection is lost")
        await add(*arguments)

    monkeypatch.setattr(control_module, "ASK_FEED_EVERY", 600.0)
    async with operated(side, 1):
        monkeypatch.setattr(orders, "add", add_after_a_failure)
        await ask(side, RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rollback", "refused")), "it is heard")
    assert not list(failures), "nothing failed"


async def test_feed_that_is_away_only_delays_what_operators_ask(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "ASK_FEED_AGAIN", 0.2)
    async with operated(side, 1):
        side.feed_server.away = True
        await ask(side, RollbackRequested(projection=NAME))
        looked = side.feed_server.looked
        await eventually(lambda: has_looked(side, looked + 1), "it has looked in vain")
        side.feed_server.away = False
        await eventually(settled(side, ("rollback", "refused")), "it is heard")


async def test_each_hiccup_of_the_database_costs_no_more_than_the_first(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = noted_pauses(monkeypatch, control_module)
    async with operated(side, 1):
        for hiccups in range(1, 4):
            await side.rows(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l"
                " JOIN pg_database AS d ON d.oid = l.database AND d.datname = current_database()"
                " WHERE l.locktype = 'advisory' AND l.classid = %s::bigint::oid",
                OPERATING,
            )
            await ask(side, RollbackRequested(projection=NAME))
            await eventually(settled(side, *[("rollback", "refused")] * hiccups), "it goes on")
    assert pauses == [0.1] * 3


async def test_what_redis_has_lost_comes_from_the_feed(side: ReadSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "ASK_FEED_EVERY", 0.5)
    write(side, 1)
    await side.publish()
    async with side.projector():
        await listening(side)
        side.history.append(f"operations-{NAME}", RollbackRequested(projection=NAME))
        await eventually(settled(side, ("rollback", "refused")), "it was read from the feed")
