"""A row of the table of bad input: what is sent, byte by byte, and the problem that it must end in."""

from collections.abc import Callable
from dataclasses import dataclass

JSON = ("Content-Type", "application/json")
FORM = ("Content-Type", "application/x-www-form-urlencoded")
LIMIT = 1_048_576
RESOURCES = "/v1/resources"
NOWHERE = "00000000-0000-7000-8000-000000000000"
GOOD = b'{"name": "a good name"}'
Header = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Row:
    """One case; `code` is the problem's, or the error's where OAuth defines it; `token` one of `FORGERIES`."""

    name: str
    status: int
    code: str
    body: bytes | None = None
    headers: tuple[Header, ...] = (JSON,)
    method: str = "POST"
    path: str = RESOURCES
    token: str = "genuine"
    raw: Callable[["Row", str], bytes] | None = None
    """Makes the whole request of row and Authorization header where an ordinary one would not do."""

    @property
    def api(self) -> str:
        return "query" if self.method == "GET" and not self.path.startswith("/v1/feed") else "command"

    def request(self, authorization: str) -> bytes:
        if self.raw is not None:
            return self.raw(self, authorization)
        length = () if self.body is None else (("Content-Length", str(len(self.body))),)
        return head(self, authorization, length) + (self.body or b"")


def head(row: Row, authorization: str, further: tuple[Header, ...] = ()) -> bytes:
    """Request line and headers, the empty line included."""
    fields: list[Header] = [("Host", "twinlog.test"), ("Connection", "close"), *row.headers, *further]
    if authorization:
        fields.append(("Authorization", authorization))
    lines = [f"{row.method} {row.path} HTTP/1.1".encode()]
    lines += [name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in fields]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunked(row: Row, authorization: str) -> bytes:
    """The body in one chunk, its length unannounced."""
    body = row.body or b""
    return head(row, authorization, (("Transfer-Encoding", "chunked"),)) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def announced(length: str, *further: Header) -> Callable[[Row, str], bytes]:
    """The body under a Content-Length that may be false, and further headers."""
    return lambda row, authorization: (
        head(row, authorization, (("Content-Length", length), *further)) + (row.body or b"")
    )


def spliced(line: bytes) -> Callable[[Row, str], bytes]:
    """An ordinary request with a line of our own among its headers."""

    def request(row: Row, authorization: str) -> bytes:
        body = row.body or b""
        ordinary = head(row, authorization, (("Content-Length", str(len(body))),))
        return ordinary[:-2] + line + b"\r\n\r\n" + body

    return request


def unframed(row: Row, authorization: str) -> bytes:
    """The body as it is, said to be chunked."""
    return head(row, authorization, (("Transfer-Encoding", "chunked"),)) + (row.body or b"")


def whole(row: Row, _: str) -> bytes:
    """The body is the request."""
    return row.body or b""
