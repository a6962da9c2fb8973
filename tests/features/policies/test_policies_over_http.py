"""Adding and removing policies over HTTP, and what they do to the next command."""

from itertools import product
from uuid import uuid4

import pytest

from command_service.features.access.commands import GrantRole, Role
from command_service.features.policies.domain import KEPT_OPEN
from command_service.infrastructure.call import Call
from tests.features.sessions.test_refresh import signed_in
from tests.support.command_side import CommandSide, Person

NO_RESOURCES = {"role": "member", "permission": "resources:create", "effect": "deny"}


@pytest.fixture
async def admin(command_side: CommandSide) -> Person:
    return await command_side.register("Adm", roles=("member", "admin"))


async def created(command_side: CommandSide, by: Person) -> int:
    return (await command_side.send("POST", "/v1/resources", {"name": "orjson"}, by=by)).status_code


async def test_added_policy_bites_at_the_next_command_and_removed_no_more(
    command_side: CommandSide, admin: Person
) -> None:
    ada = await command_side.register()
    assert await created(command_side, ada) == 201
    added = await command_side.send("POST", "/v1/policies", NO_RESOURCES, by=admin)
    policy = added.json()["id"]
    assert (added.status_code, added.headers["Location"]) == (201, f"/v1/policies/{policy}")
    assert await created(command_side, ada) == 403
    for changed in (True, False):
        removed = await command_side.send("DELETE", f"/v1/policies/{policy}", by=admin)
        assert (removed.status_code, removed.json().get("changed", True)) == (200, changed)
    assert await created(command_side, ada) == 201
    assert await command_side.topics_of(f"/v1/policies/{policy}") == ["PolicyAdded", "PolicyRemoved"]


async def test_policy_opens_what_was_closed(command_side: CommandSide, admin: Person) -> None:
    auditor = await command_side.register("Aud", roles=("auditor",))
    assert await created(command_side, auditor) == 403
    rule = {"role": "auditor", "permission": "resources:create"}
    assert (await command_side.send("POST", "/v1/policies", rule, by=admin)).status_code == 201
    assert await created(command_side, auditor) == 201


async def test_policies_of_one_tenant_are_nothing_to_another(command_side: CommandSide, admin: Person) -> None:
    await command_side.create_tenant("acme")
    eve = await command_side.register("Eve", tenant="acme", roles=("member", "admin"))
    policy = (await command_side.send("POST", "/v1/policies", NO_RESOURCES, by=admin)).json()["id"]
    assert await created(command_side, eve) == 201
    answer = await command_side.send("DELETE", f"/v1/policies/{policy}", by=eve)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_same_policy_stands_once_and_can_be_added_again_after_its_removal(
    command_side: CommandSide, admin: Person
) -> None:
    first = await command_side.send("POST", "/v1/policies", NO_RESOURCES, by=admin)
    again = await command_side.send("POST", "/v1/policies", NO_RESOURCES, by=admin)
    assert (again.status_code, again.json()["code"]) == (409, "policy-already-exists")
    await command_side.send("DELETE", f"/v1/policies/{first.json()['id']}", by=admin)
    assert (await command_side.send("POST", "/v1/policies", NO_RESOURCES, by=admin)).status_code == 201


async def test_administrators_keep_the_right_to_take_a_policy_back(command_side: CommandSide) -> None:
    """With the roles that a sign-in puts into a token: whoever holds another role is still a member, too."""
    ada = await command_side.register()
    for role in Role:
        await command_side.services.access.grant(GrantRole(ada.id, role), Call.of_system(ada.tenant, "test"))
    bearer = f"Bearer {(await signed_in(command_side, ada))['access_token']}"
    added = await command_side.send("POST", "/v1/policies", NO_RESOURCES, Authorization=bearer)
    for role, permission in product((*Role, "*"), sorted(KEPT_OPEN)):
        rule = {"role": role, "permission": permission, "effect": "deny"}
        answer = await command_side.send("POST", "/v1/policies", rule, Authorization=bearer)
        assert (answer.status_code, answer.json()["code"]) == (409, "administrators-locked-out"), rule
    removed = await command_side.send("DELETE", added.headers["Location"], Authorization=bearer)
    assert removed.status_code == 200, removed.text


async def test_unusable_rules_are_refused_with_what_would_do(command_side: CommandSide, admin: Person) -> None:
    rule = {"role": "member", "permission": "resources:burn"}
    answer = await command_side.send("POST", "/v1/policies", rule, by=admin)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/permission")
    assert "resources:archive" in answer.json()["errors"][0]["detail"]


async def test_only_admins_change_policies(command_side: CommandSide) -> None:
    for roles in (("member",), ("member", "operator"), ("member", "auditor")):
        person = await command_side.register(roles=roles)
        for method, path, body in (
            ("POST", "/v1/policies", NO_RESOURCES),
            ("DELETE", f"/v1/policies/{uuid4()}", None),
        ):
            answer = await command_side.send(method, path, body, by=person)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), roles


async def test_unknown_policy_is_404(command_side: CommandSide, admin: Person) -> None:
    assert (await command_side.send("DELETE", f"/v1/policies/{uuid4()}", by=admin)).status_code == 404
