"""Questions to the audit over HTTP: who sees which events, and what of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from shared_kernel.events.access import RoleGranted
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.events.sessions import SessionStarted
from tests.support.query_side import DAWN, TENANT, Person, QuerySide

ADA = Person(uuid4())
BOB = Person(uuid4())
ADMIN = Person(uuid4(), roles=("admin", "member"))
AUDITOR = Person(uuid4(), roles=("auditor", "member"))
OPERATOR = Person(uuid4(), roles=("operator",))
FOREIGN = Person(uuid4(), tenant="globex", roles=("admin",))


async def told(query_side: QuerySide) -> UUID:
    """Nine events of one tenant, one of another; the id of Ada's resource."""
    await query_side.create_tenant()
    await query_side.register(ADA, "Ada Lovelace", "ada@example.org")
    await query_side.register(BOB, "Bob", "bob@example.org")
    await query_side.register(FOREIGN, "Mallory", "mallory@example.org")
    resource = await query_side.create(ADA, "orjson", classification="restricted")
    await query_side.create(BOB, "ruff", classification="public")
    await query_side.log.append(f"resources-{resource}", ResourceArchived(resource_id=resource), actor=str(ADMIN.id))
    await query_side.log.append(f"roles-{ADA.id}", RoleGranted(user_id=ADA.id, role="auditor"), actor=str(ADMIN.id))
    until = datetime.now(UTC) + timedelta(hours=1)
    for person in (ADA, BOB):
        started = SessionStarted(session_id=person.session, user_id=person.id, methods=("pwd",), expires_at=until)
        await query_side.log.append(f"sessions-{person.session}", started, actor=str(person.id))
    await query_side.catch_up()
    return resource


async def positions(query_side: QuerySide, caller: Person, **given: Any) -> list[int]:
    answer = await query_side.get("/v1/events", caller, **given)
    assert answer.status_code == 200, answer.text
    return [item["position"] for item in answer.json()["items"]]


async def test_admins_and_auditors_read_every_event_of_their_tenant_and_no_other(query_side: QuerySide) -> None:
    await told(query_side)
    for caller in (ADMIN, AUDITOR):
        assert await positions(query_side, caller) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert await positions(query_side, FOREIGN) == [4]
    assert (await query_side.get("/v1/events/4", ADMIN)).json()["code"] == "not-found"


async def test_a_member_reads_the_events_of_its_own_resources_and_of_itself(query_side: QuerySide) -> None:
    await told(query_side)
    assert await positions(query_side, ADA) == [2, 5, 7, 8, 9]
    assert await positions(query_side, BOB) == [3, 6, 10]
    for caller, own in ((ADA, {2, 5, 7, 8, 9}), (BOB, {3, 6, 10})):
        for position in (1, 2, 3, 5, 6, 7, 8, 9, 10):
            answer = await query_side.get(f"/v1/events/{position}", caller)
            assert answer.status_code == (200 if position in own else 403)
    assert (await query_side.get("/v1/events", OPERATOR)).json()["code"] == "forbidden"


async def test_an_event_shows_who_did_what_and_when(query_side: QuerySide) -> None:
    resource = await told(query_side)
    event = (await query_side.get("/v1/events/7", ADMIN)).json()
    row = query_side.log.rows[6]
    assert event == {
        "position": 7,
        "id": str(row.event_id),
        "stream": f"resources-{resource}",
        "version": 2,
        "type": "resources.ResourceArchived.v1",
        "time": "2026-03-12T06:07:00.000000Z",
        "tenant": TENANT,
        "actor": str(ADMIN.id),
        "correlation_id": "c-7",
        "causation_id": None,
        "data": {"resource_id": str(resource)},
    }
    listed = (await query_side.get("/v1/events", ADMIN, stream=f"resources-{resource}", sort="-position")).json()
    assert listed["items"][0] == event


async def test_every_filter_narrows_the_list_of_events(query_side: QuerySide) -> None:
    resource = await told(query_side)

    def at(minute: int) -> str:
        return (DAWN + timedelta(minutes=minute)).isoformat()

    filtered: list[tuple[dict[str, Any], list[int]]] = [
        ({"actor": str(ADMIN.id)}, [7, 8]),
        ({"stream": f"resources-{resource}"}, [5, 7]),
        ({"type": "accounts.UserRegistered.v1"}, [2, 3]),
        ({"correlation_id": "c-5"}, [5]),
        ({"since": at(8)}, [8, 9, 10]),
        ({"until": at(3)}, [1, 2]),
        ({"since": at(2), "until": at(6)}, [2, 3, 5]),
        ({"since": "2026-03-12T07:08:00+01:00", "limit": 2}, [8, 9]),
        ({"actor": str(ADMIN.id), "type": "access.RoleGranted.v1"}, [8]),
        ({"after": "8"}, [9, 10]),
        ({"after": "0", "limit": 1}, [1]),
        ({"after": "3", "sort": "-position"}, [2, 1]),
        ({"actor": "nobody"}, []),
    ]
    for given, expected in filtered:
        assert await positions(query_side, ADMIN, **given) == expected, given
    nonsense: list[dict[str, Any]] = [
        {"since": "2026-03-12T08:00:00"},
        {"until": "noon"},
        {"after": "x"},
        {"after": "9" * 30},
    ]
    for given in nonsense:
        assert (await query_side.get("/v1/events", ADMIN, **given)).status_code == 422
    assert (await query_side.get("/v1/events", ADMIN, kind="x")).json()["code"] == "unknown-parameter"
    assert (await query_side.get("/v1/events/0", ADMIN)).status_code == 422
    assert (await query_side.get(f"/v1/events/{2**63}", ADMIN)).status_code == 422
    assert (await query_side.get(f"/v1/events/{2**63 - 1}", ADMIN)).status_code == 404


@pytest.mark.asvs("V8.2.3", "V14.2.4", "V15.3.1")
async def test_personal_fields_show_only_to_those_with_the_right_and_no_hash_to_anybody(query_side: QuerySide) -> None:
    await told(query_side)
    clear = {"user_id": str(ADA.id), "email": "ada@example.org", "name": "Ada Lovelace", "password_hash": "[redacted]"}
    for caller in (ADMIN, AUDITOR):
        assert (await query_side.get("/v1/events/2", caller)).json()["data"] == clear
    hidden = clear | dict.fromkeys(("email", "name"), "[redacted]")
    assert (await query_side.get("/v1/events/2", ADA)).json()["data"] == hidden
    for caller in (ADMIN, ADA):
        assert "argon2" not in (await query_side.get("/v1/events", caller)).text


async def test_after_erasure_nobody_reads_the_personal_fields(query_side: QuerySide) -> None:
    await query_side.register(ADA)
    await query_side.catch_up()
    await query_side.destroy_key(ADA)
    data = (await query_side.get("/v1/events/1", ADMIN)).json()["data"]
    assert (data["email"], data["name"], data["password_hash"]) == ("[erased]", "[erased]", "[redacted]")
    assert (await query_side.get("/v1/events/1", ADA)).json()["data"]["email"] == "[redacted]"


async def test_an_event_that_this_release_cannot_read_is_still_listed(query_side: QuerySide) -> None:
    await query_side.create_tenant()
    query_side.log.keep(TENANT, "orders-1", "orders.OrderPlaced.v1", orjson.dumps({"total": 3}), b"not json")
    query_side.log.keep(TENANT, "orders-2", "access.TenantCreated.v1", b"{broken", b"{}")
    await query_side.catch_up()
    items = (await query_side.get("/v1/events", ADMIN)).json()["items"]
    assert [item["data"] for item in items] == [{"slug": TENANT}, {"total": 3}, None]
    assert (items[1]["actor"], items[1]["type"]) == (None, "orders.OrderPlaced.v1")


async def test_walking_the_log_meets_every_event_once_while_it_grows(query_side: QuerySide) -> None:
    for _ in range(9):
        await query_side.create(ADA)
    await query_side.catch_up()
    seen: list[int] = []
    async for page in query_side.pages("/v1/events", ADMIN, limit=4, actor=str(ADA.id)):
        seen += [item["position"] for item in page]
        if len(seen) < 12:
            await query_side.create(ADA)
            await query_side.create(BOB)
            await query_side.catch_up()
    assert seen == [*range(1, 11), 12, 14][: len(seen)]
    assert len(seen) >= 10


async def test_no_event_is_shown_beyond_the_horizon(query_side: QuerySide) -> None:
    for _ in range(6):
        await query_side.create(ADA)
    await query_side.catch_up()
    held_back = query_side.log.rows[0].slot % 4
    horizon = max(row.position for row in query_side.log.rows if row.slot % 4 == held_back)
    known = len(query_side.log.rows)
    while query_side.log.rows[-1].slot % 4 == held_back or all(
        row.slot % 4 != held_back for row in query_side.log.rows[known:]
    ):
        await query_side.create(ADA)
    await query_side.project(*{0, 1, 2, 3} - {held_back})
    await query_side.publish_mark()
    await query_side.services.freshness.refresh()
    assert await positions(query_side, ADMIN) == list(range(1, horizon + 1))
    ahead = [row.position for row in query_side.log.rows if row.slot % 4 != held_back and row.position > horizon]
    for position in ahead[:3]:
        assert (await query_side.get(f"/v1/events/{position}", ADMIN)).status_code == 404
