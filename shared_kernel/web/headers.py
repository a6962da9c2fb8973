"""Request headers with a meaning of ours, parsed once and strictly, and the ETags that answer them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Header
from pydantic import PlainValidator, WithJsonSchema
from starlette.responses import Response

from shared_kernel.errors import Message, StaleVersion, TwinlogError

MAX_WAIT_SECONDS = 60

_VERSION_TAG = re.compile(r'"([1-9][0-9]{0,18})"')
_ENTITY_TAGS = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"(?:[ \t]*,[ \t]*(?:W/)?"[\x21\x23-\x7e\x80-\xff]*")*')
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_VISIBLE = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED_KEY = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z0-9_=-]{1,2048}")
_PREFER = (
    r"^(?!(?:[^,]*,)*[ \t]*[Ww][Aa][Ii][Tt][ \t]*"
    r'(?:[;,]|$|=(?![ \t]*(?:[0-9]{1,9}|"[0-9]{1,9}")[ \t]*(?:[;,]|$))))'
)
"""Anything, for unknown preferences are ignored, but a `wait` without whole seconds."""
_WAIT = re.compile(r'(?:^|,)[ \t]*wait[ \t]*=[ \t]*"?([0-9]{1,9})', re.IGNORECASE)


class MalformedHeader(TwinlogError):
    """A request header does not have the form that its definition demands."""

    status = 400


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The caller's condition: `versions` it has seen, `anything` for `*`; without the header everything is admitted."""

    present: bool = False
    anything: bool = False
    versions: frozenset[int] = frozenset()

    def admits(self, version: int) -> bool:
        """Whether an object that is at `version` now may be changed."""
        return not self.present or self.anything or version in self.versions

    def require(self, version: int) -> None:
        """Raises StaleVersion unless an object that is at `version` now may be changed."""
        if not self.admits(version):
            raise StaleVersion


@dataclass(frozen=True, slots=True)
class IfNoneMatch:
    """Representations that the caller already has."""

    anything: bool = False
    tags: frozenset[str] = frozenset()

    def has(self, tag: str) -> bool:
        """Whether the caller has the representation with this tag (weak comparison, RFC 9110 section 8.8.3.2)."""
        return self.anything or tag.removeprefix("W/") in self.tags


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the caller prefers (RFC 7240); `wait` in seconds, at most 60, None if it said nothing."""

    wait: int | None = None


def etag(version: int) -> str:
    """The strong entity tag of an object at `version`."""
    return f'"{version}"'


def parse_if_match(value: str | None) -> IfMatch:
    """Weak tags and tags that are no version never match. Raises MalformedHeader for anything but tags or `*`."""
    if value is None:
        return IfMatch()
    if value == "*":
        return IfMatch(present=True, anything=True)
    found = (_VERSION_TAG.fullmatch(tag) for tag in _entity_tags("If-Match", value))
    return IfMatch(present=True, versions=frozenset(int(match[1]) for match in found if match))


def parse_if_none_match(value: str | None) -> IfNoneMatch:
    """Raises MalformedHeader for anything but entity tags or `*`."""
    if value is None:
        return IfNoneMatch()
    if value == "*":
        return IfNoneMatch(anything=True)
    return IfNoneMatch(tags=frozenset(tag.removeprefix("W/") for tag in _entity_tags("If-None-Match", value)))


def _entity_tags(header: str, value: str) -> list[str]:
    if len(value) > 4096 or not _ENTITY_TAGS.fullmatch(value):
        raise MalformedHeader(
            Message('{header} takes entity tags in double quotes, such as "3", or a single asterisk.', header=header)
        )
    return _ENTITY_TAG.findall(value)


def parse_idempotency_key(value: str | None) -> str | None:
    """The key without its quotes: 1 to 255 visible ASCII characters. Raises MalformedHeader for anything else."""
    if value is None:
        return None
    key = value
    if value.startswith('"'):
        quoted = _QUOTED_KEY.fullmatch(value)
        key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else ""
    if not _VISIBLE.fullmatch(key):
        raise MalformedHeader("Idempotency-Key takes 1 to 255 visible ASCII characters, bare or in double quotes.")
    return key


def parse_consistency_token(value: str | None) -> str | None:
    """The token as it was issued, still sealed. Raises MalformedHeader for what cannot be one."""
    if value is not None and not _TOKEN.fullmatch(value):
        raise MalformedHeader("Consistency-Token takes the value of the answer's header of the same name, unchanged.")
    return value


def parse_prefer(value: str | None) -> Preferences:
    """Unknown preferences are ignored, as RFC 7240 demands. Raises MalformedHeader for a `wait` without seconds."""
    if value is None:
        return Preferences()
    if not re.match(_PREFER, value):
        raise MalformedHeader("Prefer takes wait=<seconds> as a whole number.")
    found = _WAIT.search(value)  # of several the first counts
    return Preferences(min(int(found[1]), MAX_WAIT_SECONDS) if found else None)


def _parsed_if_match(value: Any) -> IfMatch:
    return value if isinstance(value, IfMatch) else parse_if_match(value)


def _parsed_if_none_match(value: Any) -> IfNoneMatch:
    return value if isinstance(value, IfNoneMatch) else parse_if_none_match(value)


def _parsed_preferences(value: Any) -> Preferences:
    return value if isinstance(value, Preferences) else parse_prefer(value)


def _no_header() -> None:
    return None


_TAGS_SCHEMA = {"type": "string", "pattern": r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,9})$', "examples": ['"3"']}

IfMatchHeader = Annotated[
    IfMatch,
    Header(
        alias="If-Match",
        default_factory=IfMatch,
        description="Change the object only if it is at one of these versions; otherwise 412 `stale-version`.",
    ),
    PlainValidator(_parsed_if_match),
    WithJsonSchema(_TAGS_SCHEMA),
]
"""`if_match: IfMatchHeader` in a route that changes an object."""

IfNoneMatchHeader = Annotated[
    IfNoneMatch,
    Header(
        alias="If-None-Match",
        default_factory=IfNoneMatch,
        description="Answer 304 without a body if the representation is still one of these.",
    ),
    PlainValidator(_parsed_if_none_match),
    WithJsonSchema(_TAGS_SCHEMA),
]
"""`if_none_match: IfNoneMatchHeader` in a route that reads."""

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        default_factory=_no_header,
        description="Repeat the request safely: the same key and body is carried out once and answered the same.",
    ),
    PlainValidator(parse_idempotency_key),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r'^([!#-~][!-~]{0,254}|"[!#-\[\]-~]{1,255}")$',
            "examples": ["order-4711"],
        }
    ),
]
"""`idempotency_key: IdempotencyKeyHeader` in a route that carries out a command."""

ConsistencyTokenHeader = Annotated[
    str | None,
    Header(
        alias="Consistency-Token",
        default_factory=_no_header,
        description="Show at least what the command answered with this token has written.",
    ),
    PlainValidator(parse_consistency_token),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_=-]{1,2048}$"}),
]
"""`token: ConsistencyTokenHeader` in a route that reads; still sealed."""

PreferHeader = Annotated[
    Preferences,
    Header(
        alias="Prefer",
        default_factory=Preferences,
        description="`wait=<seconds>`: how long to wait for the read model to reach the Consistency-Token.",
    ),
    PlainValidator(_parsed_preferences),
    WithJsonSchema({"type": "string", "pattern": _PREFER, "examples": ["wait=1"]}),
]
"""`prefer: PreferHeader` in a route that reads."""

RESPONSE_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ETag": {"description": "The object's version as an entity tag; fits If-Match.", "schema": {"type": "string"}},
    "Location": {"description": "Where the query API shows the new object.", "schema": {"type": "string"}},
    "Link": {"description": "RFC 8288 links to further pages.", "schema": {"type": "string"}},
    "Consistency-Token": {
        "description": "Send it with a query to see at least this write.",
        "schema": {"type": "string"},
    },
    "Idempotency-Replayed": {
        "description": "`true` when this is the kept answer of an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Preference-Applied": {"description": "The preferences that were honoured.", "schema": {"type": "string"}},
    "X-Request-ID": {"description": "The id of this request.", "schema": {"type": "string", "format": "uuid"}},
    "X-Correlation-ID": {"description": "The caller's id, or the request's own.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "string"}},
    "RateLimit": {"description": "What is left of the quota that refused.", "schema": {"type": "string"}},
    "RateLimit-Policy": {
        "description": "That quota: units `q` in a window of `w` seconds.",
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
}


def documented(*names: str) -> dict[str, Any]:
    """The OpenAPI `headers` of a response, for a route's `responses={201: {"headers": ...}}`.

    Raises KeyError for a name that RESPONSE_HEADERS lacks.
    """
    return {name: dict(RESPONSE_HEADERS[name]) for name in names}


def not_modified(tag: str, headers: Mapping[str, str] | None = None) -> Response:
    """The 304 for a caller whose If-None-Match `has` this tag; `headers` as the 200 would have sent them."""
    return Response(status_code=304, headers={**(headers or {}), "ETag": tag})
