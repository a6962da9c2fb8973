"""Two relays as processes: the standby takes over in less than two seconds, however the leader goes."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import pytest

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


async def seconds_until_published(side: WriteSide, begun: float) -> float:
    """From `begun` until an event appears that was appended afterwards."""
    position = (await side.append_many(3)).position
    await eventually(lambda: side.published_upto(position), "the standby publishes")
    return time.perf_counter() - begun


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_standby_publishes_within_two_seconds_when_the_leader_is_gone(
    side: WriteSide, relays: list[CommandProcess], end: signal.Signals
) -> None:
    leader, standby = await roles(relays)
    position = (await side.append_many(50)).position
    await eventually(lambda: side.published_upto(position), "the leader publishes")
    begun = time.perf_counter()
    os.kill(leader.process.pid, end)
    assert await seconds_until_published(side, begun) < WITHIN
    await eventually(lambda: leads(standby), "the standby leads", WITHIN)
    assert await side.positions() == list(range(1, position + 4))


async def test_leader_that_is_frozen_loses_the_lead_and_does_no_harm_when_it_thaws(
    side: WriteSide, relays: list[CommandProcess]
) -> None:
    leader, standby = await roles(relays)
    appending = asyncio.create_task(side.append_many(2_000))  # so that it is frozen in the middle of its work
    await eventually(lambda: published_something(side), "the leader publishes")
    begun = time.perf_counter()
    os.kill(leader.process.pid, signal.SIGSTOP)
    try:
        await appending
        assert await seconds_until_published(side, begun) < WITHIN
    finally:
        os.kill(leader.process.pid, signal.SIGCONT)
    await eventually(lambda: follows(leader), "the old leader has noticed")
    position = (await side.append_many(50)).position
    await eventually(lambda: side.published_upto(position), "the new leader goes on")
    assert await leads(standby)
    assert await side.positions() == list(range(1, position + 1))


async def published_something(side: WriteSide) -> bool:
    mark = await side.mark()
    return mark is not None and mark.head > 0


async def follows(relay: CommandProcess) -> bool:
    return not await leads(relay)
