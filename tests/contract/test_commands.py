"""Every command of the command API's document, sent to a running pair with its examples, is answered as documented."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
from jose import jwt

from tests.contract.documents import FOLDER
from tests.contract.test_fuzz import admin, token
from tests.contract.test_openapi import operations, validate
from tests.support.load import PASSWORD
from tests.support.stack import Stack

INFRASTRUCTURE = {"/v1/feed", "/.well-known/jwks.json"}
CODES = {"activate_totp", "step_up"}
"""What takes a code of this very moment, which no example can show; theirs are valid, and refused as documented."""
LAST = ("/v1/token", "/v1/tenant/registration")
"""The person whom the document registers signs in, and only then does the tenant want invitations."""


@dataclass(frozen=True, slots=True)
class Resident:
    """An administrator who has just stepped up; each example has its own sender: some end their sender's session."""

    id: str
    bearer: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.bearer}"}


@dataclass(frozen=True, slots=True)
class Town:
    """A tenant of the running pair that this test has for itself."""

    stack: Stack
    http: httpx2.Client
    tenant: str
    mayor: str

    def settle(self) -> Resident:
        email = f"{uuid4().hex}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Somebody"}
        registered = self.http.post("/v1/users", json=body, headers={"Tenant": self.tenant})
        assert registered.status_code == 201, registered.text
        user = str(registered.json()["id"])
        self._made("PUT", f"/v1/users/{user}/roles/admin", self.mayor)
        signed_in = token(self.stack, email, self.tenant)
        return Resident(user, self._made("POST", "/v1/step-up", signed_in, {"password": PASSWORD})["access_token"])

    def path(self, template: str, by: Resident, other: Resident) -> str:
        """With real ids in the place of parameters."""
        known = {"role": "auditor", "name": "resources", "action": "switch", "user_id": other.id}
        known["session_id"] = str(jwt.get_unverified_claims(other.bearer)["sid"])
        if "{resource_id}" in template:
            known["resource_id"] = self._made("POST", "/v1/resources", by.bearer, {"name": "an example"})["id"]
        if "{invitation_id}" in template:
            known["invitation_id"] = self._made("POST", "/v1/invitations", by.bearer, {})["id"]
        if "{policy_id}" in template:
            rule = {"role": "operator", "permission": "resources:create"}
            known["policy_id"] = self._made("POST", "/v1/policies", by.bearer, rule)["id"]
        return template.format(**known)

    def _made(self, method: str, path: str, bearer: str, body: Any = None) -> dict[str, Any]:
        answer = self.http.request(method, path, json=body, headers={"Authorization": f"Bearer {bearer}"})
        assert answer.status_code in {200, 201}, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send(self, method: str, path: str, by: Resident, media_type: str, body: Any) -> httpx2.Response:
        public = path in {"/v1/users", "/v1/token", "/v1/token/revoke"}
        headers = {"Tenant": self.tenant} if public else by.headers
        if media_type == "application/x-www-form-urlencoded":
            return self.http.request(method, path, data=body, headers=headers)
        return self.http.request(
            method, path, json=body, headers={**headers, **({"Content-Type": media_type} if media_type else {})}
        )


def body_examples(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Media type and example of each body that the operation shows; once nothing for one that takes none."""
    content = operation.get("requestBody", {}).get("content")
    if content is None:
        yield "", None
        return
    for media_type, media in content.items():
        schema = document["components"]["schemas"][media["schema"]["$ref"].rsplit("/", 1)[1]]
        assert schema["examples"], f"{operation['operationId']} shows no example of its body"
        yield from ((media_type, example) for example in schema["examples"])


def test_every_example_is_valid_sent_and_answered_as_documented(stack: Stack) -> None:
    document: dict[str, Any] = json.loads((FOLDER / "command.openapi.json").read_bytes())
    tenant, sent = f"town-{uuid4().hex[:8]}", 0
    assert stack.twinlog("tenants", "create", tenant).returncode == 0
    with httpx2.Client(base_url=stack.command_url, timeout=20) as http:
        town = Town(stack, http, tenant, admin(stack, tenant)())
        other = town.settle()
        asked = [each for each in operations(document) if each[1] not in INFRASTRUCTURE]
        for method, template, operation in sorted(
            asked, key=lambda each: LAST.index(each[1]) if each[1] in LAST else -1
        ):
            by = town.settle()
            for media_type, body in body_examples(document, operation):
                if media_type:
                    validate(document, body, operation["requestBody"]["content"][media_type]["schema"])
                answer = town.send(method, town.path(template, by, other), by, media_type, body)
                sent += 1
                if operation["operationId"] in CODES:
                    assert str(answer.status_code) in operation["responses"].keys() - {"200", "500"}, answer.text
                else:
                    accepted(document, operation, answer)
    assert sent >= len(asked)


def accepted(document: dict[str, Any], operation: dict[str, Any], answer: httpx2.Response) -> None:
    """The answer is the success that is documented, in body and headers."""
    success = next(status for status in operation["responses"] if status.startswith("2"))
    assert answer.status_code == int(success), (operation["operationId"], answer.text)
    response = operation["responses"][success]
    if response.get("content"):
        validate(document, answer.json(), response["content"]["application/json"]["schema"])
    missing = [name for name in response["headers"] if name not in answer.headers and name != "Idempotency-Replayed"]
    assert not missing, operation["operationId"]
