"""Nobody gives themselves what is not theirs to say: members, fields and headers beyond what is documented."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from jose import jwt

from tests.contract.documents import FOLDER
from tests.support.command_side import PASSWORD, CommandSide

COVETED = {
    "id": str(uuid4()),
    "tenant": "next-door",
    "owner": str(uuid4()),
    "user_id": str(uuid4()),
    "actor": "system:test",
    "role": "admin",
    "roles": ["admin"],
    "state": "active",
    "version": 7,
    "position": 7,
    "password_hash": "$argon2id$",
    "created_at": "2026-03-12T09:12:44Z",
    "__proto__": {"roles": ["admin"]},
}


def bodies() -> Iterator[tuple[str, str, dict[str, Any], set[str]]]:
    """Method, path, example and members of every command that takes JSON."""
    document = json.loads((FOLDER / "command.openapi.json").read_text(encoding="utf-8"))
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media_type, media in operation.get("requestBody", {}).get("content", {}).items():
                if media_type.endswith("json"):
                    schema = document["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
                    yield method.upper(), path, schema["examples"][0], set(schema["properties"])


@pytest.mark.asvs("V15.3.3")
async def test_member_that_no_command_takes_is_refused_by_its_name(command_side: CommandSide) -> None:
    root = await command_side.register("Root", roles=("member", "admin"))
    asked = 0
    for method, template, example, members in bodies():
        ids = dict.fromkeys(("resource_id", "user_id", "policy_id"), str(uuid4()))
        path = template.format_map({**ids, "name": "resources", "action": "pause"})
        for name in COVETED.keys() - members:
            answer = await command_side.send(method, path, {**example, name: COVETED[name]}, by=root)
            assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed"), (template, name)
            assert f"/{name}" in {error["pointer"] for error in answer.json()["errors"]}, (template, name)
            asked += 1
    assert asked > 100


@pytest.mark.asvs("V15.3.3")
async def test_fields_of_a_form_that_nobody_asks_for_give_no_role_and_no_tenant(command_side: CommandSide) -> None:
    await command_side.create_tenant("next-door")
    ada = await command_side.register()
    form = {"grant_type": "password", "username": ada.email, "password": PASSWORD}
    coveted = {name: str(value) for name, value in COVETED.items()} | {"scope": "admin", "acr": "elevated"}
    answer = await command_side.sign_in({**coveted, **form})
    claims = jwt.get_unverified_claims(answer.json()["access_token"])
    assert (claims["tenant"], claims["roles"], claims["sub"]) == ("default", ["member"], str(ada.id))
    assert claims["acr"] != "elevated"


@pytest.mark.asvs("V8.4.1")
async def test_tenant_is_the_token_s_whatever_a_header_says(command_side: CommandSide) -> None:
    await command_side.create_tenant("next-door")
    ada = await command_side.register()
    for header in ("Tenant", "X_Tenant", "X_Forwarded_User", "X_Roles", "X_User_Id"):
        made = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, **{header: "next-door"})
        assert made.status_code == 201, made.text
        [row] = await command_side.rows("SELECT tenant FROM events WHERE position = %s", made.json()["position"])
        assert row["tenant"] == "default", header
