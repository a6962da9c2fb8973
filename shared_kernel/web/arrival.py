"""What the edge has found out about a request and leaves in its scope for those behind it."""

from starlette.requests import Request

MANNERS_KEY = "twinlog.manners"
"""What the route that will answer declares, with the route itself; None when no route takes the request."""

HEADERS_KEY = "twinlog.headers"
"""The header fields by name in lower case; of one that came twice the first."""

BODY_KEY = "twinlog.body"
"""The body as it came, where the edge has read it."""

CONTENT_KEY = "twinlog.content"
"""What the body says, where it is JSON."""


async def body_of(request: Request) -> bytes:
    """The whole body, as it came."""
    read: bytes | None = request.scope.get(BODY_KEY)
    return await request.body() if read is None else read
