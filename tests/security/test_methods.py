"""Safe methods are safe: whatever changes something is asked for by POST, PUT, PATCH or DELETE."""

import json

import pytest

from tests.contract.documents import FOLDER

READ_ONLY = {"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/v1/feed"}


@pytest.mark.asvs("V3.5.3")
def test_only_these_routes_of_the_command_api_answer_to_get() -> None:
    paths = json.loads((FOLDER / "command.openapi.json").read_text(encoding="utf-8"))["paths"]
    assert {
        path for path, operations in paths.items() if {"get", "head", "options", "trace"} & set(operations)
    } == READ_ONLY
