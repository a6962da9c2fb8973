"""Registration over HTTP: who gets an account, who does not, and what the log never shows."""

import asyncio
from typing import Any

import pytest

from tests.support.command_side import PASSWORD, CommandSide

BODY = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada Lovelace"}


async def test_registration_answers_201_and_the_account_can_sign_in(command_side: CommandSide) -> None:
    answer = await command_side.send("POST", "/v1/users", BODY)
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "version", "position"}
    assert answer.headers["Location"] == f"/v1/users/{answer.json()['id']}"
    assert (answer.headers["ETag"], answer.json()["version"]) == ('"1"', 1)
    form = {"grant_type": "password", "username": "ada@example.com", "password": PASSWORD}
    assert (await command_side.sign_in(form)).status_code == 200


async def test_known_address_is_409_in_any_spelling(command_side: CommandSide) -> None:
    await command_side.send("POST", "/v1/users", BODY)
    for email in ("ada@example.com", " ADA@Example.COM ", "Ada@example.com"):
        answer = await command_side.send("POST", "/v1/users", {**BODY, "email": email})
        assert (answer.status_code, answer.json()["code"]) == (409, "email-already-registered")
    assert len(await command_side.rows("SELECT position FROM events WHERE topic LIKE 'accounts.%%'")) == 1


@pytest.mark.asvs("V2.3.4")
async def test_of_many_registrations_of_one_address_exactly_one_succeeds(command_side: CommandSide) -> None:
    answers = await asyncio.gather(*(command_side.send("POST", "/v1/users", BODY) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(await command_side.rows("SELECT position FROM events WHERE topic LIKE 'accounts.%%'")) == 1


async def test_same_address_may_register_in_every_tenant(command_side: CommandSide) -> None:
    await command_side.create_tenant("acme")
    for tenant in ("default", "acme"):
        assert (await command_side.send("POST", "/v1/users", BODY, Tenant=tenant)).status_code == 201
    keys = await command_side.rows("SELECT key FROM claims WHERE kind = 'email'")
    assert len({row["key"] for row in keys}) == 2  # nobody can see that it is the same person


async def test_unknown_tenant_is_404_and_leaves_nothing_behind(command_side: CommandSide) -> None:
    answer = await command_side.send("POST", "/v1/users", BODY, Tenant="nowhere")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert await command_side.rows("SELECT position FROM events WHERE tenant = 'nowhere'") == []


async def test_malformed_tenant_is_400(command_side: CommandSide) -> None:
    for tenant in ("Acme", "a b", "a" * 64, "-a", ""):
        answer = await command_side.send("POST", "/v1/users", BODY, Tenant=tenant)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-header"), tenant


async def test_weak_passwords_are_422(command_side: CommandSide) -> None:
    for password in ("short", "password123", "ada@example.com", "Ada Lovelace"):
        answer = await command_side.send("POST", "/v1/users", {**BODY, "password": password})
        assert (answer.status_code, answer.json()["code"]) == (422, "weak-password"), password


async def test_bad_bodies_are_422_and_never_repeat_a_value(command_side: CommandSide) -> None:
    changes: list[tuple[dict[str, Any], str]] = [
        ({"email": "canary-no-address"}, "/email"),
        ({"password": "canary-" * 20}, "/password"),
        ({"name": "canary\nname"}, "/name"),
        ({"name": ""}, "/name"),
        ({"role": "canary-admin"}, "/role"),
        ({"password": 12345678}, "/password"),
    ]
    for change, pointer in changes:
        answer = await command_side.send("POST", "/v1/users", BODY | change)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
        assert "canary" not in answer.text


async def test_registration_is_signed_by_the_new_user(command_side: CommandSide) -> None:
    person = await command_side.register()
    (row,) = await command_side.rows(
        "SELECT convert_from(metadata, 'UTF8')::json ->> 'actor' AS actor FROM events WHERE stream = %s",
        f"users-{person.id}",
    )
    assert row["actor"] == str(person.id)
