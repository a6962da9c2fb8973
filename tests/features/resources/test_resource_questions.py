"""Questions about resources over HTTP: rights, filters, cursors, horizon and history."""

import random
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared_kernel.events.resources import ResourceArchived, ResourceDetailsChanged
from tests.support.query_side import TENANT, Person, QuerySide

OWNER = Person(uuid4())
MEMBER = Person(uuid4())
ADMIN = Person(uuid4(), roles=("admin", "member"))
AUDITOR = Person(uuid4(), roles=("auditor",))
OPERATOR = Person(uuid4(), roles=("operator",))
FOREIGN_ADMIN = Person(uuid4(), tenant="globex", roles=("admin",))
CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")


async def test_resource_is_shown_in_full_with_the_version_that_fits_if_match(query_side: QuerySide) -> None:
    resource = await query_side.create(OWNER, "orjson", tags=("json",), attributes={"licence": {"spdx": ["MIT"]}})
    change = ResourceDetailsChanged(resource_id=resource, description="Fast")
    await query_side.log.append(f"resources-{resource}", change)
    await query_side.catch_up()
    answer = await query_side.get(f"/v1/resources/{resource}", OWNER)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"2"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.json() == {
        "id": str(resource),
        "version": 2,
        "name": "orjson",
        "description": "Fast",
        "classification": "internal",
        "attributes": {"licence": {"spdx": ["MIT"]}},
        "tags": ["json"],
        "owner": str(OWNER.id),
        "state": "active",
        "created_at": "2026-03-12T06:01:00Z",
        "updated_at": "2026-03-12T06:02:00Z",
    }


async def test_a_version_that_the_caller_has_is_not_sent_again(query_side: QuerySide) -> None:
    resource = await query_side.create(OWNER)
    await query_side.catch_up()
    for known, status in (('"1"', 304), ('W/"1"', 304), ('"7", "1"', 304), ("*", 304), ('"2"', 200), ("1", 400)):
        answer = await query_side.get(f"/v1/resources/{resource}", OWNER, {"If-None-Match": known})
        assert answer.status_code == status
        assert answer.headers.get("ETag") == ('"1"' if status < 400 else None)
        assert (answer.content == b"") == (status == 304)


@pytest.mark.asvs("V8.4.1")
async def test_the_resource_of_another_tenant_is_not_there(query_side: QuerySide) -> None:
    resource = await query_side.create(OWNER, classification="public")
    await query_side.catch_up()
    for address in (resource, uuid4()):
        for question in (f"/v1/resources/{address}", f"/v1/resources/{address}/history"):
            answer = await query_side.get(question, FOREIGN_ADMIN)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert (await query_side.get("/v1/resources", FOREIGN_ADMIN)).json() == {"items": []}


@pytest.mark.asvs("V8.2.2")
async def test_a_member_reads_what_is_open_or_its_own_one_by_one_and_in_lists(query_side: QuerySide) -> None:
    resources = {
        (owner, classification): await query_side.create(owner, classification, classification=classification)
        for owner, classification in product((OWNER, MEMBER), CLASSIFICATIONS)
    }
    await query_side.catch_up()
    for caller in (OWNER, MEMBER, ADMIN, AUDITOR):
        may = {
            str(resource)
            for (owner, classification), resource in resources.items()
            if caller in (owner, ADMIN, AUDITOR) or classification in ("public", "internal")
        }
        listed = {item["id"] for item in (await query_side.get("/v1/resources", caller)).json()["items"]}
        assert listed == may
        for resource in map(str, resources.values()):
            answer = await query_side.get(f"/v1/resources/{resource}", caller)
            assert answer.status_code == (200 if resource in may else 403)


async def test_who_has_no_right_to_read_resources_is_stopped_at_the_door(query_side: QuerySide) -> None:
    for question in ("/v1/resources", f"/v1/resources/{UUID(int=1)}"):
        assert (await query_side.get(question, OPERATOR)).json()["code"] == "forbidden"
        answer = await query_side.get(question)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["Alpha", "alphabet", "beta", "Gamma 100%"]),
    ({"state": "active"}, ["Alpha", "beta", "Gamma 100%"]),
    ({"state": "archived"}, ["alphabet"]),
    ({"classification": "public"}, ["beta"]),
    ({"owner": str(MEMBER.id)}, ["Gamma 100%"]),
    ({"tag": "x"}, ["Alpha", "beta"]),
    ({"tag": "X"}, []),
    ({"q": "ALPHA"}, ["Alpha", "alphabet"]),
    ({"q": "gamma 100%"}, ["Gamma 100%"]),
    ({"q": "%"}, []),
    ({"q": "a_pha"}, []),
    ({"q": "alpha", "state": "active"}, ["Alpha"]),
    ({"sort": "-created_at"}, ["Gamma 100%", "beta", "alphabet", "Alpha"]),
    ({"sort": "-created_at", "limit": 1}, ["Gamma 100%"]),
]


async def test_every_filter_narrows_the_list(query_side: QuerySide) -> None:
    await query_side.create(OWNER, "Alpha", tags=("x", "y"))
    archived = await query_side.create(OWNER, "alphabet", tags=("y",))
    await query_side.create(OWNER, "beta", classification="public", tags=("x",))
    await query_side.create(MEMBER, "Gamma 100%")
    await query_side.log.append(f"resources-{archived}", ResourceArchived(resource_id=archived))
    await query_side.catch_up()
    for given, expected in FILTERED:
        answer = await query_side.get("/v1/resources", OWNER, **given)
        assert [item["name"] for item in answer.json()["items"]] == expected, given


NONSENSE: list[tuple[dict[str, Any], str, str]] = [
    ({"colour": "blue"}, "unknown-parameter", "/query/colour"),
    ({"limit": 0}, "validation-failed", "/query/limit"),
    ({"limit": 201}, "validation-failed", "/query/limit"),
    ({"limit": "many"}, "validation-failed", "/query/limit"),
    ({"state": "gone"}, "validation-failed", "/query/state"),
    ({"classification": "secret"}, "validation-failed", "/query/classification"),
    ({"owner": "me"}, "validation-failed", "/query/owner"),
    ({"q": ""}, "validation-failed", "/query/q"),
    ({"tag": "a\nb"}, "validation-failed", "/query/tag"),
    ({"q": "x" * 256}, "validation-failed", "/query/q"),
    ({"sort": "name"}, "validation-failed", "/query/sort"),
    ({"after": "forged"}, "validation-failed", "/query/after"),
    ({"after": "A" * 32}, "validation-failed", "/query/after"),
    ({"after": "1"}, "validation-failed", "/query/after"),
]


async def test_a_question_that_makes_no_sense_is_refused_by_name(query_side: QuerySide) -> None:
    for given, code, pointer in NONSENSE:
        answer = await query_side.get("/v1/resources", OWNER, **given)
        assert (answer.status_code, answer.json()["code"]) == (422, code), given
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("seed", range(2))
async def test_walking_all_pages_meets_every_row_once_whatever_is_written_meanwhile(
    query_side: QuerySide, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible walk, not a secret
    before = [str(await query_side.create(OWNER, f"r{number}")) for number in range(chance.randint(0, 30))]
    await query_side.catch_up()
    seen: list[str] = []
    async for items in query_side.pages("/v1/resources", OWNER, limit=chance.randint(1, 7)):
        seen += [item["id"] for item in items]
        for _ in range(chance.randint(0, 2) if len(seen) < 60 else 0):
            await query_side.create(OWNER, "late")
        await query_side.catch_up()
    assert seen[: len(before)] == before
    assert len(set(seen)) == len(seen)
    assert seen == [str(row.stream)[10:] for row in query_side.log.rows][: len(seen)]


async def test_newest_first_shows_what_was_there_when_the_walk_began(query_side: QuerySide) -> None:
    before = [str(await query_side.create(OWNER)) for _ in range(7)]
    await query_side.catch_up()
    seen: list[str] = []
    async for items in query_side.pages("/v1/resources", OWNER, limit=2, sort="-created_at"):
        seen += [item["id"] for item in items]
        await query_side.create(OWNER)
        await query_side.catch_up()
    assert seen == before[::-1]


async def test_the_last_page_has_no_link_even_when_it_is_full(query_side: QuerySide) -> None:
    for _ in range(4):
        await query_side.create(OWNER)
    await query_side.catch_up()
    assert [len(items) async for items in query_side.pages("/v1/resources", OWNER, limit=2)] == [2, 2]


async def test_a_cursor_fits_only_the_list_it_was_made_for(query_side: QuerySide) -> None:
    for owner in (OWNER, FOREIGN_ADMIN):
        for _ in range(3):
            await query_side.create(owner, "alpha")
    await query_side.catch_up()
    first = await query_side.get("/v1/resources", OWNER, limit=1, q="alpha")
    cursor = str(first.headers["Link"]).rpartition("after=")[2].partition(">")[0].partition("&")[0]
    assert (await query_side.get("/v1/resources", OWNER, limit=2, q="alpha", after=cursor)).status_code == 200
    swapped = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    foreign: list[tuple[Person, dict[str, Any]]] = [
        (OWNER, {"q": "alph", "after": cursor}),
        (OWNER, {"after": cursor}),
        (OWNER, {"q": "alpha", "sort": "-created_at", "after": cursor}),
        (OWNER, {"q": "alpha", "after": swapped}),
        (FOREIGN_ADMIN, {"q": "alpha", "after": cursor}),
    ]
    for caller, given in foreign:
        answer = await query_side.get("/v1/resources", caller, **given)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/query/after")
    assert (await query_side.get("/v1/users", ADMIN, after=cursor)).status_code == 422


async def test_nothing_beyond_the_horizon_is_listed(query_side: QuerySide) -> None:
    resources = [await query_side.create(OWNER) for _ in range(12)]
    partitions = [row.slot % 4 for row in query_side.log.rows]
    held_back = partitions[0]
    await query_side.project(*(set(partitions) - {held_back}))
    await query_side.publish_mark()
    await query_side.services.freshness.refresh()
    assert (await query_side.get("/v1/resources", OWNER)).json() == {"items": []}
    ahead = resources[next(number for number, partition in enumerate(partitions) if partition != held_back)]
    assert (await query_side.get(f"/v1/resources/{ahead}", OWNER)).status_code == 200
    await query_side.catch_up()
    listed = (await query_side.get("/v1/resources", OWNER)).json()["items"]
    assert [item["id"] for item in listed] == [str(resource) for resource in resources]


async def test_the_owner_and_the_auditors_read_a_resources_history(query_side: QuerySide) -> None:
    await query_side.create(OWNER)
    resource = await query_side.create(OWNER, "orjson")
    await query_side.log.append(f"resources-{resource}", ResourceArchived(resource_id=resource), actor=str(ADMIN.id))
    await query_side.catch_up()
    for caller in (OWNER, ADMIN, AUDITOR):
        items = (await query_side.get(f"/v1/resources/{resource}/history", caller)).json()["items"]
        assert [(item["position"], item["version"], item["type"]) for item in items] == [
            (2, 1, "resources.ResourceCreated.v1"),
            (3, 2, "resources.ResourceArchived.v1"),
        ]
        assert items[1]["actor"] == str(ADMIN.id)
        assert items[1]["data"] == {"resource_id": str(resource)}
        assert {item["tenant"] for item in items} == {TENANT}
    answer = await query_side.get(f"/v1/resources/{resource}/history", MEMBER)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_history_has_pages_and_can_be_read_backwards(query_side: QuerySide) -> None:
    resource = await query_side.create(OWNER)
    for number in range(4):
        changed = ResourceDetailsChanged(resource_id=resource, description=str(number))
        await query_side.log.append(f"resources-{resource}", changed)
    await query_side.catch_up()
    path = f"/v1/resources/{resource}/history"
    forwards = [item["version"] async for page in query_side.pages(path, OWNER, limit=2) for item in page]
    backwards = [
        item["version"] async for page in query_side.pages(path, OWNER, limit=2, sort="-position") for item in page
    ]
    assert (forwards, backwards) == ([1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
