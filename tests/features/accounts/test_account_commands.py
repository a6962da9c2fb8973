"""Accounts change over HTTP: by their users, and by administrators who suspend them."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest
from jose import jwt

from tests.features.sessions.test_refresh import refresh, signed_in, status_with
from tests.support.command_side import PASSWORD, CommandSide, Person
from tests.support.waiting import eventually

NEW = "summer-heron-reads-maps"
CHANGE = {"current_password": PASSWORD, "new_password": NEW}
UNKNOWN = "0192f000-0000-7000-8000-00000000dead"
REASON = {"reason": "left the company"}


def form(person: Person, password: str = PASSWORD) -> dict[str, str]:
    return {"grant_type": "password", "username": person.email, "password": password}


@pytest.fixture
async def admin(command_side: CommandSide) -> Person:
    return await command_side.register("Adm", roles=("member", "admin"))


async def change(side: CommandSide, token: dict[str, Any], body: dict[str, str], **headers: Any) -> httpx2.Response:
    return await side.send("PUT", "/v1/me/password", body, Authorization=f"Bearer {token['access_token']}", **headers)


@pytest.mark.asvs("V6.2.2")
async def test_new_password_counts_and_the_old_one_no_more(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    answer = await change(command_side, token, CHANGE)
    assert (answer.status_code, answer.json()["version"], answer.headers["ETag"]) == (200, 2, '"2"')
    assert (await command_side.sign_in(form(ada))).status_code == 400
    assert (await command_side.sign_in(form(ada, NEW))).status_code == 200


@pytest.mark.asvs("V7.4.3")
async def test_other_sessions_end_with_the_password_and_the_own_one_stays(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(3)]
    assert (await change(command_side, tokens[1], CHANGE)).status_code == 200
    assert [await status_with(command_side, token["access_token"]) for token in tokens] == [401, 201, 401]
    assert (await refresh(command_side, tokens[0]["refresh_token"])).status_code == 400
    assert (await refresh(command_side, tokens[1]["refresh_token"])).status_code == 200


@pytest.mark.asvs("V6.2.3")
async def test_wrong_current_password_changes_nothing_and_ends_nothing(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(2)]
    answer = await change(command_side, tokens[0], {**CHANGE, "current_password": "not-the-one"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong-password")
    assert await command_side.topics_of(f"/v1/users/{ada.id}") == ["UserRegistered"]
    assert [await status_with(command_side, token["access_token"]) for token in tokens] == [201, 201]


@pytest.mark.asvs("V6.2.4")
async def test_new_password_keeps_to_the_same_rules_as_the_first(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    for weak in ("short-7", "password123", "aaaaaaaaaaaa", "Ada", ada.email, ada.email.upper()):
        answer = await change(command_side, token, {**CHANGE, "new_password": weak})
        assert (answer.status_code, answer.json()["code"]) == (422, "weak-password"), weak
    for length in (8, 64, 128):
        word = ("otter-heron-lynx-" * 8)[:length]
        person = await command_side.register("Len")
        answer = await command_side.send("PUT", "/v1/me/password", {**CHANGE, "new_password": word}, by=person)
        assert answer.status_code == 200, length
    too_long = await change(command_side, token, {**CHANGE, "new_password": "otter-" * 22})
    assert (too_long.status_code, too_long.json()["code"]) == (422, "validation-failed")
    assert "otter" not in too_long.text


async def test_of_two_changes_at_once_one_counts(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(2)]
    wanted = ("first-otter-wins", "second-otter-wins")
    answers = await asyncio.gather(
        *(
            change(command_side, token, {**CHANGE, "new_password": word})
            for token, word in zip(tokens, wanted, strict=True)
        )
    )
    # The slower one was checked against a password that counts no more, or came with a session that had just ended.
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 403])
    right = [word for word in wanted if (await command_side.sign_in(form(ada, word))).status_code == 200]
    assert len(right) == 1


async def test_change_of_password_is_kept_without_any_answer(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    assert (await change(command_side, token, CHANGE, Idempotency_Key="k-1")).status_code == 200
    again = await change(command_side, token, CHANGE, Idempotency_Key="k-1")
    assert (again.status_code, again.json()["code"]) == (409, "replay-unavailable")
    (kept,) = await command_side.rows("SELECT answer FROM idempotency WHERE octet_length(answer) = 0")
    assert bytes(kept["answer"]) == b""


async def test_repeated_change_ends_the_sessions_that_an_interruption_left(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    assert (await change(command_side, token, CHANGE, Idempotency_Key="k-1")).status_code == 200
    left = (await command_side.sign_in(form(ada, NEW))).json()
    assert (await change(command_side, token, CHANGE, Idempotency_Key="k-1")).status_code == 409
    assert await status_with(command_side, left["access_token"]) == 401


async def test_change_under_a_condition_fails_when_the_account_has_moved_on(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    answer = await change(command_side, token, CHANGE, If_Match='"2"')
    assert (answer.status_code, answer.json()["code"]) == (412, "stale-version")
    assert (await change(command_side, token, CHANGE, If_Match='"1"')).status_code == 200


async def test_profile_is_a_merge_patch_under_a_condition(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for patch, version, changed in (({}, 1, False), ({"name": "Ada King"}, 2, True), ({"name": "Ada King"}, 2, False)):
        answer = await command_side.send("PATCH", "/v1/me", patch, by=ada)
        assert (answer.status_code, answer.json()["version"]) == (200, version)
        assert answer.json().get("changed", True) is changed
    stale = await command_side.send("PATCH", "/v1/me", {"name": "Ada"}, by=ada, If_Match='"1"')
    assert stale.status_code == 412
    wrong: tuple[Any, ...] = ({"name": ""}, {"name": None}, {"email": "new@example.com"}, {"roles": ["admin"]})
    for body in wrong:
        refused = await command_side.send("PATCH", "/v1/me", body, by=ada)
        assert (refused.status_code, refused.json()["code"]) == (422, "validation-failed"), body


@pytest.mark.asvs("V7.4.2")
async def test_suspended_user_is_out_everywhere_at_once(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(2)]
    answer = await command_side.send("PUT", f"/v1/users/{ada.id}/suspension", REASON, by=admin)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert [await status_with(command_side, token["access_token"]) for token in tokens] == [401, 401]
    assert (await refresh(command_side, tokens[0]["refresh_token"])).status_code == 400
    again = await command_side.send("PUT", f"/v1/users/{ada.id}/suspension", REASON, by=admin)
    assert (again.status_code, again.json()["changed"]) == (200, False)


async def test_suspended_user_is_answered_like_somebody_with_a_wrong_password(
    command_side: CommandSide, admin: Person
) -> None:
    ada = await command_side.register()
    wrong = await command_side.sign_in(form(ada, "not-the-one"))
    await command_side.send("PUT", f"/v1/users/{ada.id}/suspension", REASON, by=admin)
    for password in (PASSWORD, "not-the-one"):
        refused = await command_side.sign_in(form(ada, password))
        assert (refused.status_code, refused.content) == (wrong.status_code, wrong.content)


async def test_reinstated_user_signs_in_again_and_old_tokens_stay_dead(
    command_side: CommandSide, admin: Person
) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    path = f"/v1/users/{ada.id}/suspension"
    await command_side.send("PUT", path, REASON, by=admin)
    answer = await command_side.send("DELETE", path, by=admin)
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    assert (await command_side.send("DELETE", path, by=admin)).json()["changed"] is False
    assert await status_with(command_side, token["access_token"]) == 401
    assert (await refresh(command_side, token["refresh_token"])).status_code == 400
    assert (await command_side.sign_in(form(ada))).status_code == 200


async def test_no_session_slips_in_while_its_user_is_being_suspended(command_side: CommandSide, admin: Person) -> None:
    """Whoever signs in meanwhile holds no token that still counts once the administrator has the answer."""
    ada = await command_side.register()
    path = f"/v1/users/{ada.id}/suspension"
    tokens: list[str] = []

    async def sign_in_until_refused() -> int:
        while (answer := await command_side.sign_in(form(ada))).status_code == 200:
            tokens.append(answer.json()["access_token"])
        return answer.status_code

    signing_in = [asyncio.create_task(sign_in_until_refused()) for _ in range(6)]
    await eventually(lambda: tokens, "somebody to be signed in")
    suspended = await command_side.send("PUT", path, REASON, by=admin)
    assert suspended.status_code == 200
    assert set(await asyncio.gather(*signing_in)) == {400}
    assert {await status_with(command_side, token) for token in tokens} == {401}


async def test_only_administrators_suspend_and_nobody_themselves(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    for roles in (("member",), ("member", "operator"), ("member", "auditor")):
        person = Person(ada.id, ada.email, roles=roles)
        for method, body in (("PUT", REASON), ("DELETE", None)):
            answer = await command_side.send(method, f"/v1/users/{admin.id}/suspension", body, by=person)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), roles
    own = await command_side.send("PUT", f"/v1/users/{admin.id}/suspension", REASON, by=admin)
    assert (own.status_code, own.json()["code"]) == (409, "own-account-is-not-suspended")


async def test_users_of_other_tenants_cannot_be_told_from_nobody(command_side: CommandSide, admin: Person) -> None:
    await command_side.create_tenant("acme")
    stranger = await command_side.register("Eve", tenant="acme")
    for user_id in (UUID(UNKNOWN), stranger.id):
        for method, body in (("PUT", REASON), ("DELETE", None)):
            answer = await command_side.send(method, f"/v1/users/{user_id}/suspension", body, by=admin)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_reason_of_a_suspension_stands_nowhere_in_clear(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    reason = {"reason": "canary-of-a-reason"}
    await command_side.send("PUT", f"/v1/users/{ada.id}/suspension", reason, by=admin, Idempotency_Key="s-1")
    found = await command_side.rows(
        "SELECT payload, metadata FROM events UNION ALL SELECT answer, key FROM idempotency"
    )
    assert not any(b"canary" in bytes(value) for row in found for value in row.values())


async def test_session_of_the_changed_password_is_told_by_reason(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(2)]
    await change(command_side, tokens[0], CHANGE)
    ended = jwt.get_unverified_claims(tokens[1]["access_token"])["sid"]
    (row,) = await command_side.rows(
        "SELECT convert_from(payload, 'UTF8')::json ->> 'reason' AS reason FROM events "
        "WHERE stream = %s AND topic LIKE '%%Ended%%'",
        f"sessions-{ended}",
    )
    assert row["reason"] == "password-changed"
