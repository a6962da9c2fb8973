"""kill -9 of one of the six processes under load, and what the clients' history says about it afterwards."""

import asyncio
import os
import signal
from dataclasses import dataclass

import httpx2

from tests.support.aftermath import (
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_log,
    until_ready,
)
from tests.support.load import sign_up, under_load
from tests.support.stack import Stack
from tests.support.waiting import eventually

VICTIMS = ("command", "relay", "query", "projector", "postgres", "valkey")
BEFORE, AFTER = 60, 60
BACK_WITHIN = 45.0


@dataclass(frozen=True, slots=True)
class Kill:
    """Commands acknowledged in all, those that had to be sent again, and seconds until the process was there again."""

    victim: str
    acknowledged: int
    repeated: int
    back_after: float


async def kill_under_load(stack: Stack, victim: str) -> Kill:
    """Fails unless a request was in flight, and log and read model hold what was acknowledged, once."""
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author) as history:
        await history.reach(BEFORE)
        killed = stack.pid_of(victim)
        await eventually(lambda: history.in_flight, "a request in flight")
        os.kill(killed, signal.SIGKILL)
        then, acknowledged = asyncio.get_running_loop().time(), len(history.acknowledged)
        await eventually(lambda: stack.pids()[victim] not in {0, killed}, f"another {victim}", BACK_WITHIN)
        back_after = asyncio.get_running_loop().time() - then
        await history.reach(acknowledged + AFTER)
    assert len(history.acknowledged) >= BEFORE + AFTER
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await until_ready(stack)
    return Kill(victim, len(history.acknowledged), history.repeated, back_after)
