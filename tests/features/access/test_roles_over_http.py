"""Granting and withdrawing roles over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.command_side import CommandSide, Person

UNKNOWN = "0192f000-0000-7000-8000-00000000dead"


@pytest.fixture
async def admin(command_side: CommandSide) -> Person:
    return await command_side.register("Adm", roles=("member", "admin"))


async def test_admin_grants_and_withdraws_roles(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    path = f"/v1/users/{ada.id}/roles/auditor"
    for method, version, changed in (("PUT", 1, True), ("PUT", 1, False), ("DELETE", 2, True), ("DELETE", 2, False)):
        answer = await command_side.send(method, path, by=admin)
        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["version"]) == (str(ada.id), version)
        assert answer.json().get("changed", True) is changed
    assert await command_side.topics_of(f"/v1/roles/{ada.id}") == ["RoleGranted", "RoleWithdrawn"]


async def test_withdrawing_what_was_never_granted_changes_nothing(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    answer = await command_side.send("DELETE", f"/v1/users/{ada.id}/roles/operator", by=admin)
    assert (answer.status_code, answer.json()["changed"], answer.json()["version"]) == (200, False, 0)


async def test_membership_is_neither_granted_nor_withdrawn(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    assert (await command_side.send("PUT", f"/v1/users/{ada.id}/roles/member", by=admin)).json()["changed"] is False
    answer = await command_side.send("DELETE", f"/v1/users/{ada.id}/roles/member", by=admin)
    assert (answer.status_code, answer.json()["code"]) == (409, "membership-is-not-withdrawn")


@pytest.mark.asvs("V8.2.1")
async def test_only_admins_say_who_is_what(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for roles in (("member",), ("member", "operator"), ("member", "auditor")):
        person = Person(ada.id, ada.email, roles=roles)
        for method in ("PUT", "DELETE"):
            answer = await command_side.send(method, f"/v1/users/{ada.id}/roles/admin", by=person)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), roles


async def test_unknown_users_and_those_of_other_tenants_are_404(command_side: CommandSide, admin: Person) -> None:
    await command_side.create_tenant("acme")
    stranger = await command_side.register("Eve", tenant="acme")
    for user_id in (UNKNOWN, stranger.id):
        for method in ("PUT", "DELETE"):
            answer = await command_side.send(method, f"/v1/users/{user_id}/roles/auditor", by=admin)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_unknown_roles_are_refused(command_side: CommandSide, admin: Person) -> None:
    answer = await command_side.send("PUT", f"/v1/users/{admin.id}/roles/emperor", by=admin)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


async def test_many_grants_at_once_all_take_effect(command_side: CommandSide, admin: Person) -> None:
    ada = await command_side.register()
    roles = ("admin", "operator", "auditor")
    answers = await asyncio.gather(
        *(command_side.send("PUT", f"/v1/users/{ada.id}/roles/{role}", by=admin) for role in roles)
    )
    assert [answer.status_code for answer in answers] == [200] * 3
    assert await command_side.services.access.roles_of("default", ada.id) == (("member", *sorted(roles)), 3)


async def test_roles_are_changed_only_by_who_signed_in_or_stepped_up_just_now(command_side: CommandSide) -> None:
    ada = await command_side.register()
    admin = await command_side.register("Adm", roles=("member", "admin"))
    path = f"/v1/users/{ada.id}/roles/auditor"
    for acr in ("aal1", "aal2", "elevated"):
        old = command_side.access_token(admin, datetime.now(UTC) - timedelta(seconds=301), acr)
        fresh = command_side.access_token(admin, acr=acr)
        for method in ("PUT", "DELETE"):
            refused = await command_side.send(method, path, Authorization=f"Bearer {old}")
            assert (refused.status_code, refused.json()["code"]) == (401, "step-up-required")
            assert 'max_age="300"' in refused.headers["WWW-Authenticate"]
            assert (await command_side.send(method, path, Authorization=f"Bearer {fresh}")).status_code == 200
