"""OpenAPI links: which operation goes on with what another has answered, read off the paths."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Operations = Mapping[str, Mapping[str, dict[str, Any]]]
"""Operations by path and method, as OpenAPI holds them."""

_SOURCES = (("post", "201", "$response.body#/{}"), ("get", "200", "$response.body#/items/0/{}"))
"""What a collection answers that names one of its members: method, status, and where in the answer."""

_CONDITION = {"If-Match": "$response.header.ETag"}


def connect(paths: Operations) -> None:
    """Add to each collection's operations the links to those of its members.

    What `POST /things` has made can be named in `/things/{thing_id}/...`, and so can the first item of `GET /things`.
    """
    for path, operations in paths.items():
        for method, status, found in _SOURCES:
            answer = operations.get(method, {}).get("responses", {}).get(status)
            links = dict(_links(paths, path, found)) if answer is not None else {}
            if links:
                answer["links"] = links


def _links(paths: Operations, collection: str, found: str) -> Iterator[tuple[str, Any]]:
    member_of = re.compile(rf"{re.escape(collection)}/{{(\w+)}}(/.*)?")
    for path, operations in paths.items():
        member = member_of.fullmatch(path)
        if member is None:
            continue
        parameters = {member[1]: found.format("id" if member[1].endswith("_id") else member[1])}
        # The tag is that of the member itself: it does not fit what hangs on it, nor does a list have one.
        tagged = "{" not in (member[2] or "") and "items" not in found
        yield from (_link(operation, parameters, tagged=tagged) for operation in operations.values())


def _link(operation: Mapping[str, Any], parameters: Mapping[str, str], *, tagged: bool) -> tuple[str, Any]:
    name = operation["operationId"]
    condition = _CONDITION if tagged and _takes_version(operation) else {}
    return name, {"operationId": name, "parameters": {**parameters, **condition}}


def _takes_version(operation: Mapping[str, Any]) -> bool:
    """Whether an operation takes the version of what it changes."""
    return any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", ()))
