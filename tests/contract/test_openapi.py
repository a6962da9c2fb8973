"""The OpenAPI documents: committed as they are, and every example in the command API's is valid, sent and answered."""

from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest
from jose import jwt

from shared_kernel.web.openapi import openapi_document
from tests.contract.documents import FOLDER, applications
from tests.support.command_side import PASSWORD, CommandSide, Person

PROBLEM = "application/problem+json"
INFRASTRUCTURE = {"/v1/feed", "/.well-known/jwks.json"}
CODES = {"activate_totp", "step_up"}
"""What takes a code of this very moment, which no example can show; theirs are valid, and refused as documented."""
LAST = ("/v1/token", "/v1/tenant/registration")
"""The person whom the document registers signs in, and only then does the tenant want invitations."""


async def test_committed_documents_are_those_of_the_services() -> None:
    for name, app in applications().items():
        committed = (FOLDER / name).read_bytes()
        assert committed == openapi_document(app), (
            f"{name}: run `python -m tests.contract.documents` and review the change"
        )


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def validate(document: dict[str, Any], value: Any, schema: dict[str, Any]) -> None:
    """Raises unless the value fits a schema that may point into the document."""
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


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


async def test_problem_examples_are_problems() -> None:
    for app in applications().values():
        document = app.openapi()
        for _, path, operation in operations(document):
            for status, response in operation["responses"].items():
                for example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).values():
                    validate(document, example["value"], {"$ref": "#/components/schemas/Problem"})
                    assert example["value"]["status"] == int(status), path


class Visitor:
    """Sends what the document shows, with real ids in the place of its path parameters."""

    def __init__(self, side: CommandSide, person: Person, other: Person) -> None:
        self.side = side
        self.person = person
        self.other = other

    async def send(
        self, method: str, path: str, operation: dict[str, Any], media_type: str, body: Any
    ) -> httpx2.Response:
        resource = (await self.side.create_resource(self.person)).rsplit("/", 1)[1]
        asked = {"role": "auditor", "name": "resources", "action": "switch"}
        if "{session_id}" in path:
            asked["session_id"] = await self.session()
        if "{invitation_id}" in path:
            asked["invitation_id"] = (await self.side.send("POST", "/v1/invitations", {}, by=self.person)).json()["id"]
        target = path.format(resource_id=resource, user_id=self.other.id, **asked)
        headers = {"Authorization": f"Bearer {self.side.access_token(self.person)}"} if operation["security"] else {}
        if media_type == "application/x-www-form-urlencoded":
            return await self.side.http.request(method, target, data=body, headers=headers)
        if media_type:
            headers["Content-Type"] = media_type
        return await self.side.http.request(method, target, json=body, headers=headers)

    async def session(self) -> str:
        """A session of the other person."""
        form = {"grant_type": "password", "username": self.other.email, "password": PASSWORD}
        token = (await self.side.sign_in(form)).json()["access_token"]
        return str(jwt.get_unverified_claims(token)["sid"])


async def test_every_example_of_a_body_is_valid_and_accepted(command_side: CommandSide) -> None:
    document = (await command_side.http.get("/openapi.json")).json()
    admin = await command_side.register(roles=("member", "admin"))
    visitor = Visitor(command_side, admin, await command_side.register("Bob"))
    for method, path, operation in sorted(
        operations(document), key=lambda each: LAST.index(each[1]) if each[1] in LAST else -1
    ):
        if path in INFRASTRUCTURE:
            continue
        for media_type, body in body_examples(document, operation):
            if media_type:
                validate(document, body, operation["requestBody"]["content"][media_type]["schema"])
            answer = await visitor.send(method, path, operation, media_type, body)
            if operation["operationId"] in CODES:
                assert str(answer.status_code) in operation["responses"].keys() - {"200", "500"}, answer.text
            else:
                accepted(document, operation, answer)


def accepted(document: dict[str, Any], operation: dict[str, Any], answer: httpx2.Response) -> None:
    """The answer is the success that is documented, in body and headers."""
    success = next(status for status in operation["responses"] if status.startswith("2"))
    assert answer.status_code == int(success), (operation["operationId"], answer.text)
    response = operation["responses"][success]
    if response.get("content"):
        validate(document, answer.json(), response["content"]["application/json"]["schema"])
    missing = [name for name in response["headers"] if name not in answer.headers and name != "Idempotency-Replayed"]
    assert not missing, operation["operationId"]


@pytest.mark.parametrize(("header", "status"), [("Idempotency-Key", 201), ("If-Match", 412)])
async def test_examples_of_headers_are_understood(command_side: CommandSide, header: str, status: int) -> None:
    document = (await command_side.http.get("/openapi.json")).json()
    ada = await command_side.register()
    path = await command_side.create_resource(ada)
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", []):
            if parameter["name"] == header:
                (example,) = parameter["schema"]["examples"]
    target = ("POST", "/v1/resources", {"name": "x"}) if status == 201 else ("PATCH", path, {"name": "x"})
    answer = await command_side.send(*target, by=ada, **{header.replace("-", "_"): example})
    assert answer.status_code == status
