"""PostgreSQL can write no byte more, as on a full disk: commands wait or hear 503, and nothing is lost."""

import httpx2

from tests.support.aftermath import (
    assert_log_equals,
    assert_log_is_sound,
    assert_read_model_equals,
    read_log,
    until_ready,
)
from tests.support.full_disk import fill_the_disk
from tests.support.load import sign_up, under_load
from tests.support.stack import Stack

BEFORE, AFTER = 60, 60


async def test_a_full_disk_loses_and_repeats_nothing(stack: Stack) -> None:
    await until_ready(stack)
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(stack, http)
    async with under_load(stack, author) as history:
        await history.reach(BEFORE)
        starts = stack.log("postgres").count("database system is ready to accept connections")
        fill_the_disk(stack.pids()["postgres"])
        acknowledged = len(history.acknowledged)
        await history.reach(acknowledged + AFTER)
    # The log file of the server could not grow either, so only its new beginning tells of its end.
    assert stack.log("postgres").count("database system is ready to accept connections") > starts
    rows = read_log(stack)
    assert_log_is_sound(rows)
    assert_log_equals(history, rows)
    await assert_read_model_equals(history, stack, author)
    await until_ready(stack)
