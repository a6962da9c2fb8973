"""The OpenAPI documents: committed as they are, their problems are problems, their examples of headers understood."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from shared_kernel.web.openapi import openapi_document
from tests.contract.documents import FOLDER, applications
from tests.support.command_side import CommandSide

PROBLEM = "application/problem+json"


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


async def test_problem_examples_are_problems() -> None:
    for app in applications().values():
        document = app.openapi()
        for _, path, operation in operations(document):
            for status, response in operation["responses"].items():
                for example in response.get("content", {}).get(PROBLEM, {}).get("examples", {}).values():
                    validate(document, example["value"], {"$ref": "#/components/schemas/Problem"})
                    assert example["value"]["status"] == int(status), path


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
