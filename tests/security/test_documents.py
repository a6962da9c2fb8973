"""Routes and values that documents about security tell of are those that there are."""

import re

from tests.security.reading import routes_of, text_of


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
