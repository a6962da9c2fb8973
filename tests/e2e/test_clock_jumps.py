"""The machine's clock jumps by hours, forward and back: nothing is lost, and who may come in stays a clear matter."""

import asyncio
import functools
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest
from jose import jwt

from command_service.features.sessions.domain.session import PLACES
from tests.support.aftermath import (
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_log,
    until_ready,
)
from tests.support.load import TRY_AGAIN, Author, sign_in, sign_up, under_load
from tests.support.shifted_clock import MachineClock, stack_with_clock
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.e2e

HOUR = 3600.0
MORE = 60
"""Commands that must be acknowledged after each jump."""
WATCHED = 2.0


@pytest.fixture(scope="module")
def machine() -> Iterator[tuple[Stack, MachineClock]]:
    with stack_with_clock() as running:
        yield running


@pytest.fixture
def clock(machine: tuple[Stack, MachineClock]) -> Iterator[MachineClock]:
    yield machine[1]
    machine[1].jump(0)


@pytest.fixture
def shifted(machine: tuple[Stack, MachineClock], clock: MachineClock) -> Stack:
    return machine[0]


async def answers(http: httpx2.AsyncClient, stack: Stack, token: str) -> tuple[httpx2.Response, httpx2.Response]:
    """What a command and a question with this token are answered."""
    bearer = {"Authorization": f"Bearer {token}"}
    command = await http.post(f"{stack.command_url}/v1/resources", json={"name": f"by {uuid4()}"}, headers=bearer)
    return command, await http.get(f"{stack.query_url}/v1/me/sessions", headers=bearer)


async def clock_behind(http: httpx2.AsyncClient, stack: Stack) -> float:
    """Seconds, as the command service's metric says."""
    exposed = (await http.get(f"{stack.command_url}/metrics")).text.splitlines()
    (line,) = (line for line in exposed if line.startswith("twinlog_log_clock_behind_seconds "))
    return float(line.split()[1])


async def test_jumping_clock_loses_and_repeats_nothing(shifted: Stack, clock: MachineClock) -> None:
    await until_ready(shifted)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(shifted, http)
        async with under_load(shifted, author, tokens_expire=True) as history:
            for hours in (0, 5, -3, clock.latest + 20, 0):
                clock.jump(hours)
                await history.reach(len(history.acknowledged) + MORE)
        assert history.statuses.keys() <= {201, 401, *TRY_AGAIN}, history.statuses
        held = clock.latest * HOUR
        assert held - 60 < await clock_behind(http, shifted) < held + 60, "recorded times are held, and it shows"
        author = replace(author, token=await sign_in(shifted, http, author.email))
        rows = read_log(shifted)
        assert_log_is_sound(rows)
        assert_log_equals(history, rows)
        await assert_read_model_equals(history, shifted, author)
    await until_ready(shifted)


async def test_token_of_another_time_is_refused_in_words_and_a_new_one_is_good(
    shifted: Stack, clock: MachineClock
) -> None:
    await until_ready(shifted)
    async with httpx2.AsyncClient(timeout=10) as http:
        email = (await sign_up(shifted, http)).email
        tokens: dict[int, str] = {}
        for hours in (0, 7, -2, 1):
            clock.jump(hours)
            for earlier in tokens.values():
                for answer in await answers(http, shifted, earlier):
                    assert_refused(answer)
            tokens[hours] = await sign_in(shifted, http, email)
            assert [answer.status_code for answer in await answers(http, shifted, tokens[hours])] == [201, 200]


def assert_refused(answer: httpx2.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthenticated"
    assert answer.json()["detail"]


async def test_sessions_of_a_later_time_do_not_end_those_of_now(shifted: Stack, clock: MachineClock) -> None:
    await until_ready(shifted)
    async with httpx2.AsyncClient(timeout=10) as http:
        email = (await sign_up(shifted, http)).email
        clock.jump(5)
        for _ in range(PLACES):
            await sign_in(shifted, http, email)
        clock.jump(0)
        tokens = [await sign_in(shifted, http, email) for _ in range(PLACES)]
        for token in tokens:
            command, _ = await answers(http, shifted, token)
            assert command.status_code == 201, command.text


@pytest.mark.parametrize("new_processes", [False, True])
async def test_ended_session_stays_ended_when_the_clock_comes_back(
    shifted: Stack, clock: MachineClock, *, new_processes: bool
) -> None:
    await until_ready(shifted)
    async with httpx2.AsyncClient(timeout=10) as http:
        now = clock.latest + 1
        clock.jump(now)
        ended, other = await sign_up(shifted, http), await sign_up(shifted, http)
        await sign_out(http, shifted, ended)
        clock.jump(now + 1)
        if new_processes:
            await start_anew(shifted, "command", "query")
        other = replace(other, token=await sign_in(shifted, http, other.email))
        await sign_out(http, shifted, other)
        await eventually(functools.partial(is_refused, http, shifted, other), "every process has looked in that hour")
        clock.jump(now)
        await eventually(functools.partial(is_refused, http, shifted, ended), "every process has looked again")
        until = asyncio.get_running_loop().time() + WATCHED
        while asyncio.get_running_loop().time() < until:
            for answer in await answers(http, shifted, ended.token):
                assert answer.status_code == 401, answer.text


async def is_refused(http: httpx2.AsyncClient, stack: Stack, who: Author) -> bool:
    """At both services."""
    return {answer.status_code for answer in await answers(http, stack, who.token)} == {401}


async def sign_out(http: httpx2.AsyncClient, stack: Stack, who: Author) -> None:
    session = jwt.get_unverified_claims(who.token)["sid"]
    answer = await http.delete(f"{stack.command_url}/v1/sessions/{session}", headers=who.headers)
    assert answer.status_code == 200, answer.text


async def start_anew(stack: Stack, *names: str) -> None:
    for name in names:
        killed = stack.pid_of(name)
        os.kill(killed, signal.SIGKILL)
        await eventually(functools.partial(is_another, stack, name, killed), f"another {name}")
    await until_ready(stack)


def is_another(stack: Stack, name: str, killed: int) -> bool:
    return stack.pids()[name] not in {0, killed}
