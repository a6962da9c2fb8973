"""Sign-in over HTTP: OAuth 2.0 in form and errors, and no way to learn who has an account."""

from typing import Any

import httpx2
import pytest

from tests.support.command_side import PASSWORD, CommandSide, Person


def form(person: Person, **changes: str) -> dict[str, str]:
    return {"grant_type": "password", "username": person.email, "password": PASSWORD, **changes}


def error_of(answer: httpx2.Response) -> Any:
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"error", "error_description"}
    return answer.json()["error"]


async def test_right_password_is_answered_with_an_access_token(command_side: CommandSide) -> None:
    ada = await command_side.register()
    answer = await command_side.sign_in(form(ada))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 600)
    assert token["refresh_token"].startswith("tlr_")
    created = await command_side.send(
        "POST", "/v1/resources", {"name": "x"}, Authorization=f"Bearer {token['access_token']}"
    )
    assert created.status_code == 201


@pytest.mark.asvs("V16.3.1")
async def test_sign_in_starts_a_session_in_the_log(command_side: CommandSide) -> None:
    ada = await command_side.register()
    await command_side.sign_in(form(ada))
    rows = await command_side.rows(
        "SELECT stream, convert_from(payload, 'UTF8')::json AS data FROM events WHERE topic LIKE 'sessions.%%'"
    )
    (row,) = rows
    assert row["data"]["user_id"] == str(ada.id)
    assert row["stream"] == f"sessions-{row['data']['session_id']}"


async def test_address_is_known_in_any_spelling(command_side: CommandSide) -> None:
    ada = await command_side.register()
    assert (await command_side.sign_in(form(ada, username=f" {ada.email.upper()} "))).status_code == 200


async def test_wrong_password_and_unknown_address_are_answered_alike(command_side: CommandSide) -> None:
    ada = await command_side.register()
    refused = [
        await command_side.sign_in(form(ada, password="another-long-password")),
        await command_side.sign_in(form(ada, username="nobody@example.com")),
        await command_side.sign_in(form(ada, username="no address at all")),
        await command_side.sign_in(form(ada), Tenant="nowhere"),
    ]
    assert {(answer.status_code, answer.content) for answer in refused} == {(400, refused[0].content)}
    assert error_of(refused[0]) == "invalid_grant"


async def test_account_of_one_tenant_cannot_sign_in_to_another(command_side: CommandSide) -> None:
    ada = await command_side.register()
    await command_side.create_tenant("acme")
    assert error_of(await command_side.sign_in(form(ada), Tenant="acme")) == "invalid_grant"


async def test_answers_with_tokens_are_kept_by_nobody_and_no_key_replays_them(command_side: CommandSide) -> None:
    """RFC 6749, section 5.1. A key is ignored: a repeated sign-in is another session, a repeated refresh the same."""
    ada = await command_side.register()
    first = await command_side.sign_in(form(ada), **{"Idempotency-Key": "k"})
    assert (first.headers["Cache-Control"], first.headers["Pragma"]) == ("no-store", "no-cache")
    second = await command_side.sign_in(form(ada), **{"Idempotency-Key": "k"})
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["refresh_token"] != second.json()["refresh_token"]
    assert await command_side.rows("SELECT key FROM idempotency") == []
    refreshing = {"grant_type": "refresh_token", "refresh_token": first.json()["refresh_token"]}
    again = [(await command_side.sign_in(refreshing, **{"Idempotency-Key": "k"})).json() for _ in range(2)]
    assert again[0]["refresh_token"] == again[1]["refresh_token"]


@pytest.mark.asvs("V6.2.8")
async def test_password_is_taken_literally(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for password in (PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1]):
        assert error_of(await command_side.sign_in(form(ada, password=password))) == "invalid_grant"


async def test_other_grant_types_are_unsupported(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for grant_type in ("client_credentials", "authorization_code"):
        assert error_of(await command_side.sign_in(form(ada, grant_type=grant_type))) == "unsupported_grant_type"


async def test_incomplete_or_malformed_forms_are_invalid_requests(command_side: CommandSide) -> None:
    complete = {"grant_type": "password", "username": "a@example.com", "password": "x"}
    for name in complete:
        for broken in ({**complete, name: ""}, {key: value for key, value in complete.items() if key != name}):
            answer = await command_side.sign_in(broken)
            assert (answer.status_code, error_of(answer)) == (400, "invalid_request"), broken
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for content in (b"grant_type=password&username=a&username=b&password=x", b"grant_type=password&username=%ff"):
        answer = await command_side.http.post("/v1/token", content=content, headers=headers)
        assert (answer.status_code, error_of(answer)) == (400, "invalid_request"), content


async def test_only_forms_are_taken(command_side: CommandSide) -> None:
    answer = await command_side.http.post("/v1/token", json={"grant_type": "password"})
    assert answer.status_code == 415
    assert error_of(answer) == "invalid_request"


async def test_malformed_tenant_is_an_invalid_request(command_side: CommandSide) -> None:
    ada = await command_side.register()
    answer = await command_side.sign_in(form(ada), Tenant="No Tenant")
    assert (answer.status_code, error_of(answer)) == (400, "invalid_request")


@pytest.mark.asvs("V10.3.2")
async def test_granted_roles_ride_in_the_next_token(command_side: CommandSide) -> None:
    ada = await command_side.register()
    admin = await command_side.register("Adm", roles=("member", "admin"))
    bob = await command_side.register("Bob")
    path = await command_side.create_resource(bob)
    await command_side.send("PUT", f"/v1/users/{ada.id}/roles/admin", by=admin)
    token = (await command_side.sign_in(form(ada))).json()["access_token"]
    answer = await command_side.send("PATCH", path, {"name": "by admin"}, Authorization=f"Bearer {token}")
    assert answer.status_code == 200
