"""The committed OpenAPI documents are valid, and every example of an answer in them fits its schema."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.contract.documents import FOLDER

NAMES = ("command.openapi.json", "query.openapi.json")


@pytest.fixture(params=NAMES)
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / request.param).read_bytes())
    return found


def schemas_with_examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Schemas of bodies and parameters, by where they stand."""
    yield from ((name, schema) for name, schema in document["components"]["schemas"].items() if "examples" in schema)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                if "examples" in parameter["schema"]:
                    yield f"{method} {path} {parameter['name']}", parameter["schema"]


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for place, schema in schemas_with_examples(document):
        for example in schema["examples"]:
            validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
            assert not list(validator.iter_errors(example)), place
            checked += 1
    assert checked >= 10


def test_every_link_leads_to_an_operation_and_its_parameters(document: dict[str, Any]) -> None:
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    parameters = {each["operationId"]: {one["name"] for one in each.get("parameters", ())} for each in operations}
    links = [
        link
        for each in operations
        for answer in each["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert links
    for link in links:
        assert set(link["parameters"]) <= parameters[link["operationId"]]
