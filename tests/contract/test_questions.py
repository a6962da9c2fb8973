"""Every question of the query API's document, sent to a running pair with its examples, is answered as documented."""

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import jsonschema

from tests.contract.documents import FOLDER
from tests.contract.test_fuzz import admin
from tests.support.load import PATIENCE
from tests.support.stack import Stack


def send(http: httpx2.Client, path: str, operation: Mapping[str, Any], known: Mapping[str, str]) -> httpx2.Response:
    """Ask with every header that has an example."""
    headers = {
        each["name"]: each["schema"]["examples"][0]
        for each in operation.get("parameters", ())
        if each["in"] == "header" and "examples" in each["schema"]
    }
    return http.get(path.format(**known), headers=headers)


def assert_documented(document: dict[str, Any], operation: dict[str, Any], answer: httpx2.Response) -> None:
    """A success, in the schema and with the headers of the document."""
    assert answer.status_code == 200, (operation["operationId"], answer.text)
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    assert "x-request-id" in answer.headers


def test_every_question_is_answered_as_documented(stack: Stack) -> None:
    document: dict[str, Any] = json.loads((FOLDER / "query.openapi.json").read_bytes())
    bearer = {"Authorization": f"Bearer {admin(stack)()}"}
    rule = {"role": "operator", "permission": "resources:create"}
    with httpx2.Client(base_url=stack.command_url, headers=bearer, timeout=PATIENCE) as http:
        policy = http.post("/v1/policies", json=rule)
        assert policy.status_code == 201, policy.text
        made = http.post("/v1/resources", json={"name": "asked for"})
        assert made.status_code == 201, made.text
    token = {"Consistency-Token": made.headers["Consistency-Token"]}
    with httpx2.Client(base_url=stack.query_url, headers=bearer, timeout=PATIENCE) as http:
        me = http.get("/v1/me", headers={**token, "Prefer": "wait=20"})
        assert me.status_code == 200, me.text
        seen = {"Consistency-Token": policy.headers["Consistency-Token"], "Prefer": "wait=20"}
        http.get(f"/v1/policies/{policy.json()['id']}", headers=seen).raise_for_status()
        http.get(f"/v1/resources/{made.json()['id']}", headers={**token, "Prefer": "wait=20"}).raise_for_status()
        known = {"resource_id": made.json()["id"], "user_id": me.json()["id"], "policy_id": policy.json()["id"]}
        known["position"] = str(made.json()["position"])
        for path, operations in document["paths"].items():
            assert_documented(document, operations["get"], send(http, path, operations["get"], known))
