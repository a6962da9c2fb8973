"""Two projectors as processes, one of which is frozen: the other takes over, and nothing is doubled when it thaws."""

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg

from tests.support.chain import PROJECTOR, Chain
from tests.support.command_process import CommandProcess, command_process
from tests.support.waiting import eventually

ROWS = 20
WITHIN = 60.0


@contextmanager
def frozen(projector: CommandProcess) -> Iterator[None]:
    """It is there, its host answers for it, and it does nothing."""
    projector.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        projector.process.send_signal(signal.SIGCONT)


async def partitions(projector: CommandProcess) -> int:
    """How many it believes to work on."""
    async with httpx2.AsyncClient() as http:
        told = (await http.get(f"{projector.url}/metrics")).text
    found = re.search(r"^twinlog_projector_partitions (\d+)", told, re.MULTILINE)
    return int(found[1]) if found else 0


def active(chain: Chain) -> str:
    with psycopg.connect(chain.query_database.app_url) as connection:
        found = connection.execute("SELECT active FROM projections WHERE name = 'resources'").fetchone()
    return str(found[0]) if found else ""


async def test_frozen_projector_loses_partitions_and_operators_and_does_no_harm_when_it_thaws(
    chain: Chain, variables: dict[str, str]
) -> None:
    await chain.append(ROWS)
    await chain.shows(ROWS)
    with command_process(variables, PROJECTOR) as other:

        async def share() -> bool:
            return (await partitions(chain.projector), await partitions(other)) == (4, 4)

        async def has_all() -> bool:
            return await partitions(other) == 8

        await eventually(share, "each has its half", WITHIN)
        with frozen(chain.projector):  # which was first, so it is the one that listens to operators
            await chain.append(ROWS)
            await eventually(lambda: chain.rows() == 2 * ROWS, "the other handles everything", WITHIN)
            await eventually(has_all, "the other has all partitions", WITHIN)
            code, _ = await chain.twinlog("projections", "rebuild", "resources", "--background", "--at-once")
            assert code == 0
            await eventually(lambda: active(chain) == "green", "the other carries out what operators ask", WITHIN)
        await chain.append(ROWS)
        await eventually(lambda: chain.rows() == 3 * ROWS, "both go on", WITHIN)
        await eventually(share, "each has its half again", WITHIN)
        code, found = await asyncio.wait_for(chain.twinlog("projections", "verify", "--all"), WITHIN)
    assert (code, found["ok"]) == (0, True)
