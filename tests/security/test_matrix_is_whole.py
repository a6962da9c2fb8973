"""No route without rights that somebody wrote down by hand, and none written down that there is not."""

import json
from collections.abc import Iterable, Mapping

import pytest
from fastapi.routing import iter_route_contexts

from tests.contract.documents import FOLDER, applications
from tests.security.rights_of_routes import COMMANDS, PLUMBING, QUESTIONS, Route
from tests.security.test_matrix_of_commands import SENT

DOCUMENTS = {"command.openapi.json": COMMANDS, "query.openapi.json": QUESTIONS}
UNWRITTEN = "{}: nobody has said who may call this; write it into tests/security/rights_of_routes.py"
GONE = "{}: there is no such route; take it out of tests/security/rights_of_routes.py"


def faults(routes: Iterable[str], written: Mapping[str, Route]) -> list[str]:
    """Whatever keeps the table from being that of these routes, in words."""
    there = set(routes) - PLUMBING
    return [UNWRITTEN.format(each) for each in sorted(there - written.keys())] + [
        GONE.format(each) for each in sorted(written.keys() - there)
    ]


@pytest.mark.asvs("V8.2.1")
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_route_of_the_application_stands_in_the_oracle(name: str) -> None:
    found = iter_route_contexts(applications()[name].routes)
    routes = [f"{method} {each.path}" for each in found for method in each.methods or () if method != "HEAD"]
    assert faults(routes, DOCUMENTS[name]) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_ask_for_the_permission_that_the_oracle_names(name: str) -> None:
    paths = json.loads((FOLDER / name).read_text(encoding="utf-8"))["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            route = DOCUMENTS[name][f"{method.upper()} {path}"]
            assert operation.get("x-permission", "") == route.permission, path
            if route.step_up != "unless current":
                assert operation.get("x-step-up") == route.step_up, path


def test_every_command_is_sent() -> None:
    assert SENT.keys() == COMMANDS.keys()


def test_route_that_nobody_wrote_down_is_told_by_its_name() -> None:
    [fault] = faults([*QUESTIONS, "GET /v1/secrets"], QUESTIONS)
    assert fault.startswith("GET /v1/secrets: nobody has said who may call this")
    [fault] = faults(set(QUESTIONS) - {"GET /v1/me"}, QUESTIONS)
    assert fault.startswith("GET /v1/me: there is no such route")
