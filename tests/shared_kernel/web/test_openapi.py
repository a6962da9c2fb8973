"""The OpenAPI document says what the wire contract says."""

import runpy
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import pytest
from fastapi import APIRouter
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared_kernel.web import openapi
from shared_kernel.web.access import public
from shared_kernel.web.openapi import document, openapi_document
from tests.shared_kernel.web.sample_service import sample_application


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document(sample_application())


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def test_document_is_valid_openapi(described: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(described).validate()


def test_document_is_the_same_each_time() -> None:
    assert openapi_document(sample_application()) == openapi_document(sample_application())


def test_framework_gives_the_same_document(described: dict[str, Any]) -> None:
    app = sample_application()
    assert app.openapi() == described
    assert app.openapi() is app.openapi()


async def test_document_is_served_as_it_is_committed(caller: httpx2.AsyncClient) -> None:
    assert (await caller.get("/openapi.json")).content == openapi_document(sample_application())


def test_operations_are_called_like_their_functions(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(described)]
    assert {"create_thing", "list_things", "issue_token"} <= set(names)
    assert len(names) == len(set(names))


def test_operations_are_tagged_with_their_feature(described: dict[str, Any]) -> None:
    assert described["paths"]["/v1/things"]["get"]["tags"] == ["things"]


def test_protected_route_names_permission_and_scheme(described: dict[str, Any]) -> None:
    create = described["paths"]["/v1/things"]["post"]
    assert create["x-permission"] == "thing:create"
    assert create["security"] == [{"bearer": []}]
    assert {"401", "403"} <= set(create["responses"])
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_public_route_needs_no_token(described: dict[str, Any]) -> None:
    read = described["paths"]["/v1/things"]["get"]
    assert read["security"] == []
    assert "x-permission" not in read
    assert not {"401", "403"} & set(read["responses"])


def test_every_route_tells_of_the_problems_that_any_route_can_have(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        expected = {"400", "429", "500", "503"} | (set() if "token" in name else {"422"})
        assert expected <= set(operation["responses"]), name


def test_route_with_a_body_tells_what_a_body_can_do_wrong(described: dict[str, Any]) -> None:
    assert {"400", "413", "415"} <= set(described["paths"]["/v1/things"]["post"]["responses"])
    assert not {"413", "415"} & set(described["paths"]["/v1/things"]["get"]["responses"])


def test_own_problems_stand_beside_the_general_ones(described: dict[str, Any]) -> None:
    responses = described["paths"]["/v1/things/{thing_id}"]["patch"]["responses"]
    assert set(responses["409"]["content"]["application/problem+json"]["examples"]) == {"sold-thing-stays"}
    created = described["paths"]["/v1/things"]["post"]["responses"]["422"]
    codes = ["validation-failed", "unknown-parameter", "idempotency-key-reused"]
    assert list(created["content"]["application/problem+json"]["examples"]) == codes
    assert created["description"] == "; ".join(f"`{code}`" for code in codes)


def test_nothing_is_left_of_the_frameworks_own_errors(described: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(described)
    assert "ValidationError" not in described["components"]["schemas"]


def test_every_problem_example_is_a_problem(described: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Problem", "components": described["components"]}
    checked = 0
    for name, operation in operations(described):
        for response in operation["responses"].values():
            content = response.get("content", {}).get("application/problem+json", {})
            for code, example in content.get("examples", {}).items():
                jsonschema.Draft202012Validator(schema).validate(example["value"])
                assert example["value"]["code"] == code, name
                checked += 1
    assert checked > 50


def test_every_answer_documents_its_ids(described: dict[str, Any]) -> None:
    for name, operation in operations(described):
        for response in operation["responses"].values():
            assert {"X-Request-ID", "X-Correlation-ID"} <= set(response["headers"]), name


def test_headers_of_an_answer_are_documented(described: dict[str, Any]) -> None:
    assert {"ETag", "Location"} <= set(described["paths"]["/v1/things"]["post"]["responses"]["201"]["headers"])
    assert "WWW-Authenticate" in described["paths"]["/v1/things"]["post"]["responses"]["401"]["headers"]


def test_request_headers_are_documented_as_text(described: dict[str, Any]) -> None:
    parameters = {each["name"]: each for each in described["paths"]["/v1/things/{thing_id}"]["patch"]["parameters"]}
    assert parameters["If-Match"]["in"] == "header"
    assert not parameters["If-Match"]["required"]
    assert parameters["If-Match"]["schema"]["type"] == "string"


def test_merge_patch_is_offered_under_both_names(described: dict[str, Any]) -> None:
    content = described["paths"]["/v1/things/{thing_id}"]["patch"]["requestBody"]["content"]
    assert set(content) == {"application/merge-patch+json", "application/json"}


def test_token_address_tells_of_oauth_errors(described: dict[str, Any]) -> None:
    responses = described["paths"]["/v1/token"]["post"]["responses"]
    assert set(responses) == {"200", "400", "413", "415", "429", "500", "503"}
    assert responses["400"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/OAuthError"}


def test_hidden_route_stays_hidden(described: dict[str, Any]) -> None:
    assert "/v1/faults/internal" not in described["paths"]


def test_router_of_the_service_itself_is_described() -> None:
    router = APIRouter(prefix="/v1", dependencies=[public()])

    @router.get("/feed")
    async def read_feed() -> None: ...

    described = document(sample_application(routers=[router]))
    assert described["paths"]["/v1/feed"]["get"]["tags"] == ["sample"]


def test_plumbing_is_not_described(described: dict[str, Any]) -> None:
    assert all(path.startswith("/v1/") for path in described["paths"])


def make_sample(services: object) -> object:
    """What the command line is pointed at."""
    return sample_application()


def test_document_can_be_printed(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sample_of_openapi", sys.modules[__name__])
    assert openapi.main(["sample_of_openapi:make_sample"]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == openapi_document(sample_application())


def test_module_is_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["openapi"])
    monkeypatch.delitem(sys.modules, openapi.__name__)
    with pytest.raises(SystemExit, match="2"):
        runpy.run_module(openapi.__name__, run_name="__main__")


@pytest.mark.parametrize("arguments", [[], ["no_function"], ["a:b", "c:d"]])
def test_wrong_use_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert openapi.main(arguments) == 2
    assert "usage:" in capsys.readouterr().err
