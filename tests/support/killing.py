"""kill -9 of one of the six processes under load, and what the clients' history says about it afterwards."""

import asyncio
import json
import os
import signal
from dataclasses import dataclass

import httpx2

from tests.support.aftermath import (
    assert_audit_copy_equals,
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_log,
    until_ready,
)
from tests.support.load import Author, History, sign_up, under_load
from tests.support.questions import under_questions
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
    """Fails unless a request was in flight, at the query API a question, and log, copy and read model hold what was
    acknowledged, once.
    """
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author) as history, under_questions(stack, author) as questions:
        await history.reach(BEFORE)
        await questions.reach(BEFORE)
        killed = stack.pid_of(victim)
        await eventually(lambda: questions.in_flight if victim == "query" else history.in_flight, "one in flight")
        os.kill(killed, signal.SIGKILL)
        then, acknowledged, answered = _now(), len(history.acknowledged), questions.answered
        await eventually(lambda: stack.pids()[victim] not in {0, killed}, f"another {victim}", BACK_WITHIN)
        back_after = _now() - then
        await history.reach(acknowledged + AFTER)
        await questions.reach(answered + AFTER)
    assert len(history.acknowledged) >= BEFORE + AFTER
    assert questions.unheard > 0 or victim != "query", "what was in flight has died with it"
    await assert_nothing_lost(stack, author, history)
    return Kill(victim, len(history.acknowledged), history.repeated, back_after)


async def assert_nothing_lost(stack: Stack, author: Author, history: History) -> None:
    """What the client knows, the log, the copy of it, and the read models in all their sums."""
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await assert_audit_copy_equals(rows, stack)
    await until_ready(stack)
    verified = await asyncio.to_thread(stack.twinlog, "projections", "verify", "--all", "--json")
    assert (verified.returncode, json.loads(verified.stdout)["findings"]) == (0, []), verified.stdout


def _now() -> float:
    return asyncio.get_running_loop().time()
