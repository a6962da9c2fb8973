"""kill -9 of each of the six processes under load: nothing acknowledged is lost, nothing is done twice."""

import os
import signal

import httpx2
import pytest

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

BEFORE, AFTER = 60, 60
BACK_WITHIN = 30.0


@pytest.mark.parametrize("victim", ["command", "relay", "query", "projector", "postgres", "valkey"])
async def test_a_killed_process_loses_and_repeats_nothing(stack: Stack, victim: str) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author) as history:
        await history.reach(BEFORE)
        killed = stack.pids()[victim]
        await eventually(lambda: history.in_flight, "a request in flight")
        os.kill(killed, signal.SIGKILL)
        acknowledged = len(history.acknowledged)
        await eventually(lambda: stack.pids()[victim] not in {0, killed}, f"another {victim}", BACK_WITHIN)
        await history.reach(acknowledged + AFTER)
    assert len(history.acknowledged) >= BEFORE + AFTER
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await until_ready(stack)
