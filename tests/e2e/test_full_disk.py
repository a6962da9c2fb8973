"""PostgreSQL can write no byte more, as on a full disk: commands wait or hear 503, and nothing is lost."""

import os
import subprocess
from pathlib import Path

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

BEFORE, AFTER = 60, 60


def family(pid: int) -> list[int]:
    """A process and the children that it has now."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in children)]


def fill_the_disk(pid: int) -> None:
    """No file of these processes may grow beyond its first byte; who starts them anew makes room again."""
    owner = Path(f"/proc/{pid}").stat()  # only the user of a process may always limit it, even among privileged ones
    for each in family(pid):
        subprocess.run(
            ["prlimit", "--pid", str(each), "--fsize=1:1"],
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[] if os.geteuid() == 0 else None,
            capture_output=True,  # some may be gone by now
            check=each == pid,
        )


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
