"""Which web pages of other origins may read our answers (the CORS protocol of the Fetch standard): those on a list.

Tokens travel in a header that a page must set itself, never in a cookie. So credentials in the sense of the protocol
are not offered, and an origin that is not on the list is simply told nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.types import Message, Scope, Send

MAX_AGE = b"600"
EXPOSED = (
    b"ETag, Location, Link, Retry-After, Consistency-Token, Idempotency-Replayed, Preference-Applied, RateLimit, "
    b"RateLimit-Policy, WWW-Authenticate, X-Request-ID, X-Correlation-ID"
)
ACCEPTED = (
    b"Accept-Language, Authorization, Consistency-Token, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
    b"Prefer, Tenant, X-Correlation-ID, traceparent"
)

SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Sent with every answer: what it is called is what it is, and no other origin's page embeds it unread."""

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:[1-9][0-9]{0,4})?")
Headers = list[tuple[bytes, bytes]]


def origin(text: str) -> str:
    """The text itself, if it is an origin as browsers write it. Raises ValueError; `*` and `null` are none."""
    if not _ORIGIN.fullmatch(text):
        raise ValueError("must be origins such as https://app.example.com, without a path")
    return text


@dataclass(frozen=True, slots=True)
class BrowserRules:
    """The list of origins; while it is empty, browsers keep our answers from every other origin's pages."""

    origins: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[str]) -> "BrowserRules":
        """Raises ValueError for what is no origin."""
        return cls(frozenset(origin(each).encode() for each in origins))

    def headers_for(self, request: Mapping[bytes, bytes]) -> Headers:
        """What any answer says to the page that asked; with a list, caches must tell origins apart."""
        if not self.origins:
            return []
        given = request.get(b"origin", b"")
        vary = (b"vary", b"Origin")
        if given not in self.origins:
            return [vary]
        return [vary, (b"access-control-allow-origin", given), (b"access-control-expose-headers", EXPOSED)]

    def is_preflight(self, scope: Scope, request: Mapping[bytes, bytes]) -> bool:
        """Whether a browser asks what a listed origin's page may do."""
        return (
            scope["method"] == "OPTIONS"
            and b"access-control-request-method" in request
            and request.get(b"origin", b"") in self.origins
        )


async def answer_preflight(methods: Iterable[str], send: Send) -> None:
    """204 with the methods that the address takes; the origin's own headers come with every answer."""
    headers: Headers = [
        (b"access-control-allow-methods", ", ".join(methods).encode()),
        (b"access-control-allow-headers", ACCEPTED),
        (b"access-control-max-age", MAX_AGE),
        (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers"),
    ]
    start: Message = {"type": "http.response.start", "status": 204, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": b""})
