"""What the documents about security say is what the code does: whatever can drift is read here against the code."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/security"


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def routes_of(service: str) -> dict[str, dict[str, Any]]:
    """What the OpenAPI document says of each route, by `PUT /v1/...`."""
    paths = json.loads((ROOT / f"docs/api/{service}.openapi.json").read_text(encoding="utf-8"))["paths"]
    return {
        f"{method.upper()} {path}": operation
        for path, methods in paths.items()
        for method, operation in methods.items()
        if isinstance(operation, dict)
    }


def test_routes_that_ask_for_fresh_proof_are_those_of_the_document() -> None:
    found = {
        route: operation["x-step-up"]
        for service in ("command", "query")
        for route, operation in routes_of(service).items()
        if "x-step-up" in operation
    }
    rows = re.findall(r"^\| `([A-Z]+ /v1/[^`]+)` \| (.*) \|$", text_of("sessions-and-factors.md"), re.MULTILINE)
    told = {
        route: "always" if "a step-up of" in what and "sign-in" not in what else "recent"
        for route, what in rows
        if not what.startswith(("a code", "the current"))
    }
    assert told == found
