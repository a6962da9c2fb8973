"""A withdrawn role is of no use a second later, whatever tokens are still out; one that is granted only adds."""

from typing import Any

import httpx2
import pytest
from jose import jwt

from command_service.features.access.commands import GrantRole, Role
from command_service.infrastructure.call import Call
from tests.features.sessions.test_refresh import refresh, signed_in, status_with
from tests.support.cluster import Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, Person, command_side_of
from tests.support.waiting import eventually


@pytest.fixture
async def root(command_side: CommandSide) -> Person:
    return await command_side.register("Root", roles=("member", "admin"))


async def admin_of(command_side: CommandSide) -> tuple[Person, dict[str, Any]]:
    """Somebody who was made an administrator, and what their sign-in brought."""
    eve = await command_side.register("Eve")
    await command_side.services.access.grant(GrantRole(eve.id, Role.ADMIN), Call.of_system(eve.tenant, "test"))
    return eve, await signed_in(command_side, eve)


def bearer(token: dict[str, Any]) -> str:
    return f"Bearer {token['access_token']}"


async def change(side: CommandSide, method: str, user: Person, token: dict[str, Any]) -> httpx2.Response:
    return await side.send(method, f"/v1/users/{user.id}/roles/admin", Authorization=bearer(token))


async def withdraw(side: CommandSide, user: Person, by: Person) -> None:
    answer = await side.send("DELETE", f"/v1/users/{user.id}/roles/admin", by=by)
    assert answer.status_code == 200, answer.text


@pytest.mark.asvs("V8.2.1")
async def test_who_lost_the_right_to_grant_cannot_take_it_back_with_the_token_they_have(
    command_side: CommandSide, root: Person
) -> None:
    eve, token = await admin_of(command_side)
    assert (await change(command_side, "PUT", eve, token)).status_code == 200
    await withdraw(command_side, eve, root)
    answer = await change(command_side, "PUT", eve, token)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert await command_side.topics_of(f"/v1/roles/{eve.id}") == ["RoleGranted", "RoleWithdrawn"]


async def test_refresh_goes_on_and_brings_the_roles_that_are_left(command_side: CommandSide, root: Person) -> None:
    eve, token = await admin_of(command_side)
    await withdraw(command_side, eve, root)
    again = (await refresh(command_side, token["refresh_token"])).json()
    claims = jwt.get_unverified_claims(again["access_token"])
    assert (claims["roles"], claims["roles_version"]) == (["member"], 2)
    assert await status_with(command_side, again["access_token"]) == 201
    assert (await change(command_side, "PUT", eve, again)).status_code == 403


async def test_elevated_token_from_before_the_withdrawal_is_refused_too(
    command_side: CommandSide, root: Person
) -> None:
    eve, token = await admin_of(command_side)
    elevated = await command_side.send("POST", "/v1/step-up", {"password": PASSWORD}, Authorization=bearer(token))
    assert elevated.status_code == 200, elevated.text
    await withdraw(command_side, eve, root)
    assert (await change(command_side, "PUT", eve, elevated.json())).status_code == 401


async def test_granted_role_leaves_older_tokens_as_they_are_and_is_in_the_next(
    command_side: CommandSide, root: Person
) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    assert jwt.get_unverified_claims(token["access_token"])["roles_version"] == 0
    answer = await command_side.send("PUT", f"/v1/users/{ada.id}/roles/admin", by=root)
    assert answer.status_code == 200
    assert await status_with(command_side, token["access_token"]) == 201
    assert (await change(command_side, "PUT", ada, token)).status_code == 403
    again = (await refresh(command_side, token["refresh_token"])).json()
    assert jwt.get_unverified_claims(again["access_token"])["roles_version"] == 1
    assert (await change(command_side, "PUT", ada, again)).status_code == 200


async def test_role_that_is_given_back_makes_no_older_token_count_again(
    command_side: CommandSide, root: Person
) -> None:
    eve, token = await admin_of(command_side)
    await withdraw(command_side, eve, root)
    assert (await command_side.send("PUT", f"/v1/users/{eve.id}/roles/admin", by=root)).status_code == 200
    assert (await change(command_side, "PUT", eve, token)).status_code == 401
    again = (await refresh(command_side, token["refresh_token"])).json()
    assert (await change(command_side, "PUT", eve, again)).status_code == 200


async def test_every_process_hears_of_a_withdrawal_within_a_second_and_a_new_one_knows(
    command_side: CommandSide, root: Person, command_database: Database, vault_database: Vault
) -> None:
    eve, token = await admin_of(command_side)
    async with command_side_of(command_database, vault_database) as other:
        assert (await change(other, "PUT", eve, token)).status_code == 200
        await withdraw(command_side, eve, root)

        async def refused() -> bool:
            return (await change(other, "PUT", eve, token)).status_code == 401

        await eventually(refused, "the other process to refuse", 1.0)
    async with command_side_of(command_database, vault_database) as started_later:
        assert (await change(started_later, "PUT", eve, token)).status_code == 401
