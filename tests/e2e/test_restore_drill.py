"""The restore drill, with real servers put back from copies of their data folders and four real processes.

Whatever was restored to an older point, the pair repairs itself or refuses with the reason, and never shows what the
log does not hold.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import httpx2
import pytest
import redis

from tests.support.drill import Drill, running_drill
from tests.support.load import Author, sign_up
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]  # servers stop and start, and a machine may be busy


@pytest.fixture(scope="module")
def drill() -> Iterator[Drill]:
    with running_drill() as running:
        yield running


@dataclass
class Client:
    """Somebody who creates resources, and what was acknowledged: id by name, and the newest Consistency-Token."""

    drill: Drill
    http: httpx2.AsyncClient
    author: Author
    acknowledged: dict[str, str] = field(default_factory=dict)
    token: str = ""

    async def create(self, count: int, prefix: str) -> None:
        for number in range(count):
            await eventually(lambda: self._created(f"{prefix} {number}"), f"{prefix} {number} is acknowledged")  # noqa: B023 - awaited at once

    async def _created(self, name: str) -> bool:
        try:
            answer = await self.http.post(f"{self.drill.services['command'].url}/v1/resources", json={"name": name})
        except httpx2.TransportError:
            return False
        if answer.status_code == 201:
            self.acknowledged[answer.json()["id"]] = name
            self.token = answer.headers["Consistency-Token"]
        return answer.status_code == 201

    async def read(self, path: str, token: str = "") -> httpx2.Response:
        headers = {"Consistency-Token": token, "Prefer": "wait=5"} if token else {}
        return await self.http.get(f"{self.drill.services['query'].url}{path}", headers=headers)

    async def listed(self) -> dict[str, str] | int:
        """What the list shows, or the status that came instead of it."""
        answer = await self.read(f"/v1/resources?limit=200&owner={self.author.user_id}")
        if answer.status_code != 200:
            return answer.status_code
        return {item["id"]: item["name"] for item in answer.json()["items"]}

    async def shows(self, expected: dict[str, str]) -> None:
        async def shown() -> bool:
            return await self.listed() == expected

        await eventually(shown, f"the list shows exactly {len(expected)} resources")


@pytest.fixture
async def client(drill: Drill) -> AsyncIterator[Client]:
    """A client of its own, of a pair that is well."""
    await drill.is_well()
    async with httpx2.AsyncClient(timeout=10) as http:
        author = await sign_up(Address(drill.services["command"].url), http)  # type: ignore[arg-type] # all it asks of a stack
        http.headers.update(author.headers)
        yield Client(drill, http, author)


@dataclass(frozen=True)
class Address:
    command_url: str


async def is_proven(drill: Drill) -> None:
    """All are ready; sums, rows and audit copy are what the log says."""
    await drill.is_well()
    code, verified = await drill.twinlog("projections", "verify", "--all")
    assert (code, verified["ok"]) == (0, True), verified
    copied = "SELECT position, leaf_hash FROM {} ORDER BY position"
    assert drill.rows(drill.query, copied.format("public.audit_events")) == drill.rows(
        drill.command, copied.format("events")
    )


@pytest.mark.parametrize(
    ("written_on", "reason"),
    [
        (3, "but the log ends at position"),
        pytest.param(25, "is a different event in Redis", marks=pytest.mark.long),
    ],
)
async def test_log_restored_to_an_older_point_is_refused_until_a_new_epoch_and_then_everything_follows(
    drill: Drill, client: Client, written_on: int, reason: str
) -> None:
    await client.create(12, "kept")
    kept = dict(client.acknowledged)
    copy = drill.backup("log")
    await client.create(15, "lost")
    await client.shows(client.acknowledged)
    lost_token, lost = client.token, client.acknowledged.keys() - kept.keys()
    cursor = (await client.read("/v1/resources?limit=5")).links["next"]["url"]
    [(head,)] = drill.rows(drill.command, "SELECT max(position) FROM events")
    drill.restore("log", copy)
    client.acknowledged = kept
    await client.create(written_on, f"written on {written_on}")  # commands go on, in the epoch of before
    await drill.says("relay", "log", reason)
    await drill.says("relay", "log", "run `twinlog epoch new`")
    assert "relay cannot publish" in drill.services["relay"].said
    code, found = await drill.twinlog("doctor")
    assert code in {1, 3}
    assert [check for check in found["checks"] if "epoch new" in str(check)]
    [(epoch, restored_to)] = drill.rows(
        drill.command, "SELECT epoch, (SELECT max(position) FROM events) FROM installation"
    )
    code, begun = await drill.twinlog("epoch", "new", "--reason", "drill")
    assert (code, begun["epoch"], begun["restored_to"]) == (0, epoch + 1, restored_to)
    assert begun["seen_upto"] >= min(head, restored_to)
    await client.shows(client.acknowledged)
    for resource in lost:
        assert (await client.read(f"/v1/resources/{resource}")).status_code == 404
    refused = await client.read("/v1/resources", lost_token)
    assert (refused.status_code, refused.json()["code"]) == (409, "log-epoch-changed")
    refused = await client.read(str(cursor))
    assert (refused.status_code, refused.json()["code"]) == (409, "log-epoch-changed")
    await client.create(1, f"new epoch {epoch + 1}")
    await client.shows(client.acknowledged)
    aside = f"SELECT count(*) FROM public.lost_events WHERE lost_to = {epoch + 1}"  # noqa: S608 - a number
    assert drill.rows(drill.query, aside) == [(15,)]
    await is_proven(drill)


async def test_wiped_redis_is_made_up_for(drill: Drill, client: Client) -> None:
    await client.create(10, "before the wipe")
    with redis.Redis.from_url(drill.variables["TWINLOG_REDIS_URL"]) as wiped:
        wiped.flushall()
    await client.create(10, "after the wipe")
    await client.shows(client.acknowledged)
    await is_proven(drill)


async def test_redis_restored_to_an_older_state_is_made_up_for(drill: Drill, client: Client) -> None:
    await client.create(5, "in the copy")
    copy = drill.backup("redis")
    await client.create(10, "not in the copy")
    await client.shows(client.acknowledged)
    drill.restore("redis", copy)
    await client.create(5, "after the restore")
    await client.shows(client.acknowledged)
    await is_proven(drill)


@pytest.mark.long
async def test_read_models_restored_to_an_older_state_catch_up(drill: Drill, client: Client) -> None:
    await client.create(5, "in the copy")
    await client.shows(client.acknowledged)
    copy = drill.backup("read-models")
    await client.create(10, "not in the copy")
    await client.shows(client.acknowledged)
    drill.restore("read-models", copy)
    await client.shows(client.acknowledged)
    await is_proven(drill)


async def test_new_epoch_is_refused_while_somebody_who_may_know_of_a_newer_one_cannot_be_asked(drill: Drill) -> None:
    drill.engines["redis"].stop()
    try:
        code, refused = await drill.twinlog("epoch", "new")
    finally:
        await asyncio.to_thread(drill.engines["redis"].start)
    assert (code, refused["ok"]) == (3, False)
    assert "say --without redis" in refused["detail"]


@pytest.mark.long
async def test_new_epoch_that_is_begun_without_need_loses_nothing(drill: Drill, client: Client) -> None:
    await client.create(5, "before")
    await client.shows(client.acknowledged)
    code, begun = await drill.twinlog("epoch", "new")
    assert (code, begun["seen_upto"]) == (0, begun["restored_to"])
    await client.create(5, "after")
    await client.shows(client.acknowledged)
    assert (await client.read("/v1/resources", client.token)).status_code in {200, 409}  # for at most five seconds
    await is_proven(drill)
