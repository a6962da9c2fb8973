"""After something broke: the client's history against the log and against the read model."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import psycopg

from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.leaf import leaf_of
from tests.support.load import PATIENCE, Author, History, Shown
from tests.support.stack import Stack
from tests.support.waiting import eventually

COLUMNS = ", ".join(StoredRow._fields)
CREATED = "resources.ResourceCreated.v1"
CHANGED = "resources.ResourceDetailsChanged.v1"


def read_log(stack: Stack) -> list[StoredRow]:
    """The whole log in position order, straight from the command database."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    with psycopg.connect(kept["command"]["COMMAND_DATABASE_URL"]) as connection:
        query = f"SELECT {COLUMNS} FROM events ORDER BY position"  # noqa: S608 - names from our own class
        return [StoredRow(*row) for row in connection.execute(query.encode())]


def read_audit_copy(stack: Stack) -> list[StoredRow]:
    """The whole audit copy, straight from the query database."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    with psycopg.connect(kept["query"]["QUERY_DATABASE_URL"]) as connection:
        query = f"SELECT {COLUMNS} FROM public.audit_events ORDER BY position"  # noqa: S608 - names of our own class
        return [StoredRow(*row) for row in connection.execute(query.encode())]


async def assert_audit_copy_equals(rows: Sequence[StoredRow], stack: Stack) -> None:
    """The copy comes to hold every row of the log, byte for byte, and nothing else up to there."""

    def holds() -> bool:
        copied = read_audit_copy(stack)
        return copied[: len(rows)] == list(rows)

    await eventually(holds, "the audit copy to equal the log", PATIENCE)


def assert_log_is_sound(rows: Sequence[StoredRow]) -> None:
    """Gapless positions, rising times, every leaf as its bytes make it, versions without a hole."""
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert all(earlier.recorded_at <= later.recorded_at for earlier, later in itertools.pairwise(rows))
    assert all(row.leaf_hash == leaf_of(row) for row in rows)
    newest: Counter[tuple[str, str]] = Counter()
    for row in rows:
        newest[row.tenant, row.stream] += 1
        assert row.version == newest[row.tenant, row.stream]


def assert_log_equals(history: History, rows: Sequence[StoredRow]) -> None:
    """Every acknowledged command is in the log once, under the id that was acknowledged; nothing else is."""
    created = [json.loads(row.payload) for row in rows if row.topic == CREATED]
    ours = [event for event in created if event["name"].startswith("load ")]
    found = {event["name"]: event["resource_id"] for event in ours if event["name"] in history.acknowledged}
    assert found == history.acknowledged
    names = Counter(event["name"] for event in ours)
    assert not [name for name, count in names.items() if count > 1]


async def assert_read_model_equals(history: History, stack: Stack, author: Author) -> None:
    """The author's list, page by page, comes to hold exactly what was acknowledged, with each change."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    expected = history.shown
    while (listed := await _listed(stack, author)) != expected:
        assert asyncio.get_running_loop().time() < deadline, (
            f"{len(expected.keys() - listed.keys())} missing, {len(listed.keys() - expected.keys())} too many, "
            f"unlike: {[(row, expected.get(each)) for each, row in listed.items() if expected.get(each) != row][:3]}"
        )
        await asyncio.sleep(0.2)


async def _listed(stack: Stack, author: Author) -> dict[str, Shown]:
    found: list[tuple[str, Shown]] = []
    async with httpx2.AsyncClient(timeout=10, headers=author.headers) as http:
        following: str | None = f"{stack.query_url}/v1/resources?owner={author.user_id}&limit=200"
        while following is not None:
            try:
                answer = await http.get(following)
            except httpx2.TransportError:
                return {}  # not back yet
            if answer.status_code != 200:
                return {}
            found += [(item["id"], _shown(item)) for item in answer.json()["items"]]
            link = answer.links.get("next")
            following = None if link is None else str(answer.url.join(str(link["url"])))
    assert len({resource for resource, _ in found}) == len(found), "a page repeats a row"
    return dict(found)


def _shown(item: Mapping[str, Any]) -> Shown:
    return Shown(item["version"], item["name"], tuple(item["tags"]))


async def until_ready(stack: Stack) -> None:
    """Wait until all four processes say so, and people can sign in."""
    await asyncio.to_thread(stack.settle)
