"""Questions about oneself and about users, over HTTP."""

from uuid import uuid4

import pytest

from shared_kernel.events.accounts import PasswordChanged, ProfileChanged, UserSuspended
from tests.support.query_side import TENANT, Person, QuerySide

ADA = Person(uuid4())
BOB = Person(uuid4())
ADMIN = Person(uuid4(), roles=("admin", "member"))
AUDITOR = Person(uuid4(), roles=("auditor", "member"))
FOREIGN = Person(uuid4(), tenant="globex", roles=("admin",))


async def registered(query_side: QuerySide) -> None:
    await query_side.register(ADA, "Ada Lovelace", "ada@example.org")
    await query_side.register(BOB, "Bob", "bob@example.org")
    await query_side.register(FOREIGN, "Mallory", "mallory@example.org")
    await query_side.catch_up()


async def test_everybody_reads_their_own_account_with_tenant_and_roles(query_side: QuerySide) -> None:
    await registered(query_side)
    answer = await query_side.get("/v1/me", ADA)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == '"1"'
    assert answer.json() == {
        "id": str(ADA.id),
        "version": 1,
        "email": "ada@example.org",
        "name": "Ada Lovelace",
        "state": "active",
        "created_at": "2026-03-12T06:01:00Z",
        "updated_at": "2026-03-12T06:01:00Z",
        "tenant": TENANT,
        "roles": ["member"],
    }


async def test_an_account_that_is_not_projected_yet_is_not_there(query_side: QuerySide) -> None:
    answer = await query_side.get("/v1/me", ADA)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_admins_and_auditors_read_the_accounts_of_their_tenant(query_side: QuerySide) -> None:
    await registered(query_side)
    for caller in (ADMIN, AUDITOR):
        listed = (await query_side.get("/v1/users", caller)).json()["items"]
        assert [item["name"] for item in listed] == ["Ada Lovelace", "Bob"]
        answer = await query_side.get(f"/v1/users/{BOB.id}", caller)
        assert answer.json() == listed[1]
        again = await query_side.get(f"/v1/users/{BOB.id}", caller, {"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        assert (await query_side.get(f"/v1/users/{FOREIGN.id}", caller)).status_code == 404
        assert (await query_side.get(f"/v1/users/{uuid4()}", caller)).status_code == 404


async def test_members_read_nobody_elses_account(query_side: QuerySide) -> None:
    await registered(query_side)
    for question in ("/v1/users", f"/v1/users/{BOB.id}", f"/v1/users/{ADA.id}"):
        assert (await query_side.get(question, ADA)).json()["code"] == "forbidden"


@pytest.mark.asvs("V8.2.3", "V15.3.1")
async def test_admins_alone_read_why_somebody_is_suspended(query_side: QuerySide) -> None:
    await registered(query_side)
    suspended = UserSuspended(user_id=BOB.id, reason="left the company")
    await query_side.log.append(f"users-{BOB.id}", suspended)
    await query_side.catch_up()
    for caller, reason in ((ADMIN, "left the company"), (AUDITOR, "[redacted]")):
        shown = (await query_side.get(f"/v1/users/{BOB.id}", caller)).json()
        assert (shown["state"], shown["suspension_reason"], shown["version"]) == ("suspended", reason, 2)
        assert shown["suspended_at"] == shown["updated_at"] == "2026-03-12T06:04:00Z"
        listed = {item["id"]: item for item in (await query_side.get("/v1/users", caller)).json()["items"]}
        assert listed[str(BOB.id)] == shown
        active = listed[str(ADA.id)]
        assert (active["state"], active["suspended_at"], active["suspension_reason"]) == ("active", None, None)


async def test_changes_of_an_account_show_at_once_in_its_owners_answer(query_side: QuerySide) -> None:
    await registered(query_side)
    await query_side.log.append(f"users-{ADA.id}", ProfileChanged(user_id=ADA.id, name="Ada King"))
    await query_side.log.append(f"users-{ADA.id}", PasswordChanged(user_id=ADA.id, password_hash="$argon2id$new"))
    await query_side.catch_up()
    answer = await query_side.get("/v1/me", ADA)
    assert (answer.json()["name"], answer.headers["ETag"]) == ("Ada King", '"3"')
    assert "suspension_reason" not in answer.json()
    assert "argon2id" not in answer.text


async def test_the_list_of_accounts_has_pages_in_both_directions(query_side: QuerySide) -> None:
    for number in range(5):
        await query_side.register(Person(uuid4()), f"P{number}", f"p{number}@example.org")
    await query_side.catch_up()
    for sort, expected in (("created_at", "01234"), ("-created_at", "43210")):
        pages = query_side.pages("/v1/users", ADMIN, limit=2, sort=sort)
        assert [item["name"] async for page in pages for item in page] == [f"P{number}" for number in expected]
