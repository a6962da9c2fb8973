"""Nobody can write a byte more, for a moment or for longer: commands wait or hear 503, and nothing is lost."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from tests.support.aftermath import (
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_log,
    until_ready,
)
from tests.support.full_disk import fill_the_disk
from tests.support.load import Author, sign_up, under_load
from tests.support.small_disk import Disk, stack_on_small_disk
from tests.support.stack import Stack

BEFORE, AFTER = 60, 60
FULL = (2.0, 30.0)
"""Seconds for which the disk stays full: as long as it takes until somebody hears of it, and how long at most."""


async def test_a_full_disk_loses_and_repeats_nothing(stack: Stack) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author) as history:
        await history.reach(BEFORE)
        starts = stack.log("postgres").count("database system is ready to accept connections")
        fill_the_disk(stack.pid_of("postgres"))
        acknowledged = len(history.acknowledged)
        await history.reach(acknowledged + AFTER)
    # The log file of the server could not grow either, so only its new beginning tells of its end.
    assert stack.log("postgres").count("database system is ready to accept connections") > starts
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await until_ready(stack)


@contextmanager
def superuser(stack: Stack) -> Iterator[psycopg.Connection]:
    """A connection that is there before the disk is full; afterwards none may be had."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    port = urlsplit(kept["command"]["COMMAND_DATABASE_URL"]).port
    password = (stack.data / "postgres" / "password").read_text()
    with psycopg.connect(f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", autocommit=True) as admin:
        yield admin


def end_write_ahead_segment(admin: psycopg.Connection) -> None:
    """PostgreSQL must begin a new file for its write-ahead log; without room for it the whole server ends."""
    with suppress(psycopg.OperationalError):  # it may end before it answers
        admin.execute("SELECT pg_switch_wal()")


async def ask(stack: Stack, author: Author) -> tuple[Counter[int], Counter[int]]:
    """The answers to commands and to questions until a command has been refused; each 503 says when to come again."""
    commands: Counter[int] = Counter()
    questions: Counter[int] = Counter()
    least, most = (asyncio.get_running_loop().time() + seconds for seconds in FULL)
    async with httpx2.AsyncClient(timeout=15, headers=author.headers) as http:
        while (now := asyncio.get_running_loop().time()) < most and (now < least or not commands[503]):
            command = await http.post(f"{stack.command_url}/v1/resources", json={"name": "no room"})
            question = await http.get(f"{stack.query_url}/v1/resources")
            for answer, seen in ((command, commands), (question, questions)):
                seen[answer.status_code] += 1
                if answer.status_code == 503:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert int(answer.headers["retry-after"]) > 0
            await asyncio.sleep(0.1)
    return commands, questions


def disk_in_the_doctors_eyes(stack: Stack, disk: Disk) -> str:
    place = "/" + str(stack.data).split("/root/", 1)[1]
    told = json.loads(disk.twinlog("doctor", "--data", place, "--json").stdout)
    assert not told["ok"]
    (check,) = (each for each in told["checks"] if each["name"] == "disk")
    return f"{check['state']} {check['says']} {check['advice']}"


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[Stack, Disk]]:
    with stack_on_small_disk() as running:
        yield running


@pytest.mark.e2e
@pytest.mark.parametrize("survives", [True, False], ids=["tables-cannot-grow", "server-cannot-run"])
async def test_a_disk_that_stays_full_is_told_of_and_nobody_need_do_more_than_make_room(
    small: tuple[Stack, Disk], *, survives: bool
) -> None:
    stack, disk = small
    await until_ready(stack)
    server = stack.pid_of("postgres")
    async with httpx2.AsyncClient(timeout=10) as http:
        author, witness = await sign_up(stack, http), await sign_up(stack, http)
    async with under_load(stack, author) as history:
        await history.reach(BEFORE)
        with superuser(stack) as admin:
            if survives:
                end_write_ahead_segment(admin)  # so that the new one has room for all that is tried
                await history.reach(len(history.acknowledged) + 1)
            with disk.full():
                if not survives:
                    end_write_ahead_segment(admin)
                commands, questions = await ask(stack, witness)
                if survives:  # without a server it takes longer than clients have patience
                    told = await asyncio.to_thread(disk_in_the_doctors_eyes, stack, disk)
                    assert told.startswith("found 0.0 GiB (0%) free at ")
                    assert "make room" in told
        await history.reach(len(history.acknowledged) + AFTER)
    assert (stack.pid_of("postgres") == server) is survives
    assert commands.keys() <= {201, 503}
    assert commands[503] > 0
    assert questions.keys() <= {200, 503}
    assert questions[200] > 0 or not survives
    assert history.statuses.keys() <= {201, 503, 409}
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await until_ready(stack)
