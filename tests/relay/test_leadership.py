"""Two relays: the standby takes over, as a process in less than two seconds, however the leader goes."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx2
import pytest

from command_service.relay.status import Status
from tests.support.cluster import Database, Vault
from tests.support.command_process import CommandProcess, command_process, variables_of
from tests.support.read_side import eventually
from tests.support.write_side import WriteSide

MODULE = "command_service.relay"
WITHIN = 2.0


@pytest.fixture
def relays(command_database: Database, vault_database: Vault, redis_url: str) -> Iterator[list[CommandProcess]]:
    """The leader and its standby."""
    variables = variables_of(command_database, vault_database, TWINLOG_REDIS_URL=redis_url, TWINLOG_RELAY_PORT="0")
    with ExitStack() as stack:
        yield [stack.enter_context(command_process(variables, MODULE)) for _ in range(2)]


async def leads(relay: CommandProcess) -> bool:
    async with httpx2.AsyncClient() as http:
        return "twinlog_relay_leader 1.0" in (await http.get(f"{relay.url}/metrics")).text


async def roles(relays: list[CommandProcess]) -> tuple[CommandProcess, CommandProcess]:
    first, second = relays
    await eventually(lambda: leads_one_of(relays), "one of them leads")
    return (first, second) if await leads(first) else (second, first)


async def leads_one_of(relays: list[CommandProcess]) -> bool:
    return sorted([await leads(relay) for relay in relays]) == [False, True]


async def seconds_until_leads(standby: CommandProcess, begun: float) -> float:
    await eventually(lambda: leads(standby), "the standby leads", 30)
    return time.perf_counter() - begun


async def publishes(side: WriteSide, count: int) -> int:
    """What is appended now arrives; its last position."""
    position = (await side.append_many(count)).position
    await eventually(lambda: side.published_upto(position), "it is published", 30)
    return position


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_standby_leads_within_two_seconds_when_the_leader_is_gone(
    side: WriteSide, relays: list[CommandProcess], end: signal.Signals
) -> None:
    leader, standby = await roles(relays)
    await publishes(side, 50)
    begun = time.perf_counter()
    os.kill(leader.process.pid, end)
    assert await seconds_until_leads(standby, begun) < WITHIN
    position = await publishes(side, 3)
    assert await side.positions() == list(range(1, position + 1))


async def test_leader_that_is_frozen_loses_the_lead_within_two_seconds(
    side: WriteSide, relays: list[CommandProcess]
) -> None:
    await publishes(side, 50)
    taken = [await seconds_until_leads_instead_of_frozen(relays) for _ in range(3)]
    assert min(taken) < WITHIN  # a machine that is busy with something else may stretch one of them
    position = await publishes(side, 50)
    assert await side.positions() == list(range(1, position + 1))


async def seconds_until_leads_instead_of_frozen(relays: list[CommandProcess]) -> float:
    leader, standby = await roles(relays)
    begun = time.perf_counter()
    with frozen(leader):
        taken = await seconds_until_leads(standby, begun)
    await eventually(lambda: follows(leader), "the old leader has noticed", 30)
    return taken


@contextmanager
def frozen(relay: CommandProcess) -> Iterator[None]:
    os.kill(relay.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(relay.process.pid, signal.SIGCONT)


async def test_leader_that_is_frozen_in_the_middle_of_its_work_does_no_harm_when_it_thaws(
    side: WriteSide, relays: list[CommandProcess]
) -> None:
    leader, standby = await roles(relays)
    appending = asyncio.create_task(side.append_many(2_000))
    await eventually(lambda: published_something(side), "the leader publishes")
    with frozen(leader):
        await appending
        await eventually(lambda: leads(standby), "the standby leads", 30)
        await publishes(side, 3)
    await eventually(lambda: follows(leader), "the old leader has noticed", 30)
    position = await publishes(side, 50)
    await eventually(lambda: leads_one_of(relays), "one of them leads", 30)
    assert await side.positions() == list(range(1, position + 1))


async def published_something(side: WriteSide) -> bool:
    mark = await side.mark()
    return mark is not None and mark.head > 0


async def follows(relay: CommandProcess) -> bool:
    return not await leads(relay)


async def test_standby_takes_over_when_the_leaders_session_is_lost(side: WriteSide) -> None:
    async with side.relay() as first, side.relay() as second:
        for rounds in range(1, 4):
            await eventually(lambda: one_leads(first, second), "one of them leads")
            await publishes(side, 5)
            assert await side.positions() == list(range(1, 5 * rounds + 1))
            side.end_session_of_leader()


async def one_leads(*relays: Status) -> bool:
    return sorted(relay.leader._value.get() for relay in relays) == [0, 1]
