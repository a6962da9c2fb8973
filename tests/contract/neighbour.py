"""Somebody of another tenant, and what of theirs a caller could try to name."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx2
from jose import jwt

from tests.support.load import PATIENCE
from tests.support.stack import Stack

ONE_IN = 2
"""How often a generated value gives way to one of the neighbour's."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """By the name of the parameter that takes it: in paths, where every answer but a refusal is one too many, and in
    filters, where the neighbour's must not be found.
    """

    places: Mapping[str, str]
    filters: Mapping[str, str]

    def in_path(self, given: dict[str, Any] | None) -> dict[str, Any] | None:
        return _exchanged(given, self.places)

    def in_query(self, given: dict[str, Any] | None) -> dict[str, Any] | None:
        return _exchanged(given, self.filters)

    def is_named_in(self, url: str) -> bool:
        parts = urlsplit(url)
        named = set(unquote(parts.path).split("/")) & set(self.places.values())
        return bool(named) or any(value in unquote(parts.query) for value in self.filters.values())

    def is_told_of(self, url: str, answer: str) -> bool:
        """Whether a success is about one of the neighbour's things, or names one."""
        ids = [value for value in self.places.values() if not value.isdecimal()]
        path = unquote(urlsplit(url).path).split("/")
        return bool(set(path) & set(self.places.values())) or any(each in answer for each in ids)


def _exchanged(given: dict[str, Any] | None, known: Mapping[str, str]) -> dict[str, Any] | None:
    """The same for the same values, so that a seed stays what it is."""
    if given is None or zlib.crc32(repr(given).encode(errors="replace")) % ONE_IN:
        return given
    return {name: known.get(name, value) for name, value in given.items()}


def with_things(stack: Stack, bearer: str) -> Neighbour:
    """Whoever holds the token makes a resource; it, its event, its owner and the session count as theirs."""
    headers = {"Authorization": f"Bearer {bearer}"}
    url, body = f"{stack.command_url}/v1/resources", {"name": "next door"}
    made = httpx2.post(url, json=body, headers=headers, timeout=PATIENCE)
    assert made.status_code == 201, made.text
    resource, position, claims = made.json()["id"], made.json()["position"], jwt.get_unverified_claims(bearer)
    return Neighbour(
        places={
            "resource_id": resource,
            "user_id": claims["sub"],
            "session_id": claims["sid"],
            "position": str(position),
        },
        filters={"owner": claims["sub"], "actor": f"user:{claims['sub']}", "stream": f"resources-{resource}"},
    )
