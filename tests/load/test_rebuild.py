"""A million events are replayed at noon: people read all along, nothing differs, and the way back takes an instant."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from query_service.features import PROJECTIONS
from query_service.projector.switch import roll_back, switch
from tests.load.readers import Readings, reading
from tests.support import results
from tests.support.aftermath import until_ready
from tests.support.load import Author, sign_up
from tests.support.long_log import PERSON_EVERY, LongLog, lengthen, owner_of_log, people_of
from tests.support.stack import Stack, running_stack
from tests.support.waiting import eventually

QUIET = 10.0
"""Seconds of reading before the rebuild, to compare with."""

AFTER = 2.0
"""Seconds of reading after each switch."""

WITHIN = 1800.0
BEHIND = "SELECT min(position) FROM public.checkpoints AS c GROUP BY partition ORDER BY partition"
ENDS = "SELECT max(position) FROM events GROUP BY slot % 8 ORDER BY slot % 8"

Pool = AsyncConnectionPool[AsyncConnection[Any]]


@pytest.mark.long
@pytest.mark.timeout(0)
async def test_a_million_events_are_replayed_while_people_read() -> None:
    """REBUILD_EVENTS chooses another number."""
    events = int(os.environ.get("REBUILD_EVENTS", "1000000"))
    with running_stack() as stack:
        await until_ready(stack)
        made = await lengthened(stack, events)
        async with httpx2.AsyncClient(timeout=30) as http:
            author = await sign_up(stack, http)
            ids = [await created(stack, http, author, number) for number in range(20)]
        figures, readings = await rebuilt(stack, author, ids)
    assert readings.failures == []
    assert readings.seen == sorted(readings.seen), "a reader went back in time"
    assert readings.seen[-1] > readings.seen[0]
    results.write("rebuild", {"events": events, "caught_up": made, **figures})


async def created(stack: Stack, http: httpx2.AsyncClient, author: Author, number: int) -> str:
    """A resource, shown by the query service."""
    body = {"name": f"noon {number}"}
    answer = await http.post(f"{stack.command_url}/v1/resources", json=body, headers=author.headers)
    assert answer.status_code == 201, answer.text
    resource = str(answer.json()["id"])
    wanted = {**author.headers, "Consistency-Token": answer.headers["Consistency-Token"], "Prefer": "wait=5"}
    shown = await http.get(f"{stack.query_url}/v1/resources/{resource}", headers=wanted)
    assert shown.status_code == 200, shown.text
    return resource


async def lengthened(stack: Stack, events: int) -> dict[str, float]:
    """A log of that many events, which the projector has caught up with; how fast it was."""
    people = await people_of(stack, min(10_000, events // PERSON_EVERY))
    await asyncio.to_thread(lengthen, owner_of_log(stack), LongLog(people), events)
    begun = time.perf_counter()
    with psycopg.connect(owner_of_log(stack)) as connection:
        ends = [end for (end,) in connection.execute(ENDS)]
    with psycopg.connect(url_of_query(stack), autocommit=True) as connection:
        await eventually(lambda: [p for (p,) in connection.execute(BEHIND)] == ends, "all is projected", WITHIN)
    seconds = time.perf_counter() - begun
    return {"seconds": round(seconds, 1), "events_per_second": round(events / seconds)}


def url_of_query(stack: Stack) -> str:
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    return str(kept["query"]["QUERY_DATABASE_URL"])


async def rebuilt(stack: Stack, author: Author, ids: list[str]) -> tuple[dict[str, Any], Readings]:
    """Rebuild everything, compare, switch everything, and go back; all the time with readers."""
    watched, *others = ids
    async with reading(stack, author, watched, others) as readings:
        await asyncio.sleep(QUIET)
        begun = time.perf_counter()
        told = await twinlog(stack, "projections", "rebuild", "--all")
        ended = time.perf_counter()
        compared = (await twinlog(stack, "projections", "diff", "--all"))["projections"]
        switched, back = await there_and_back(url_of_query(stack))
    differences = sum(each["missing"] + each["unexpected"] + each["different"] for each in compared.values())
    assert differences == 0, compared
    figures = {
        "replayed": told["events"],
        "seconds": round(told["seconds"], 1),
        "events_per_second": round(told["events"] / told["seconds"]),
        "rows_compared": {name: each["rows"] for name, each in compared.items()},
        "differences": differences,
        "switch_ms": switched,
        "rollback_ms": back,
        "reads_before": readings.between(0.0, begun),
        "reads_during": readings.between(begun, ended),
        "reads_failed": len(readings.failures),
        "steps_back_in_time": sum(
            later < earlier for earlier, later in zip(readings.seen, readings.seen[1:], strict=False)
        ),
        "changes_meanwhile": readings.written,
    }
    return figures, readings


async def twinlog(stack: Stack, *words: str) -> dict[str, Any]:
    done = await asyncio.to_thread(stack.twinlog, *words, "--json", seconds=WITHIN)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def there_and_back(url: str) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of each switch, and of each way back."""
    async with AsyncConnectionPool(url, min_size=1, kwargs={"autocommit": True}, open=False) as pool:
        switched = {each.name: await milliseconds(switch, pool, each.name) for each in PROJECTIONS}
        await asyncio.sleep(AFTER)
        back = {each.name: await milliseconds(roll_back, pool, each.name) for each in PROJECTIONS}
        await asyncio.sleep(AFTER)
    return switched, back


async def milliseconds(move: Callable[[Pool, str], Awaitable[object]], pool: Pool, name: str) -> float:
    begun = time.perf_counter()
    await move(pool, name)
    return round(1e3 * (time.perf_counter() - begun), 1)
