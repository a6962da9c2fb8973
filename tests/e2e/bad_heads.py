"""Rows of bad input that are bad before the body: address, parameters, headers, tokens, framing."""

from collections.abc import Iterator

from tests.e2e.bad_row import GOOD, JSON, LIMIT, NOWHERE, RESOURCES, Row, announced, spliced, unframed, whole

REGISTRATION = b'{"email": "nobody@example.com", "password": "winter-otter-plays-chess", "name": "Nobody"}'


def parameters() -> Iterator[Row]:
    for path, code in {
        "/v1/resources?colour=red": "unknown-parameter",
        "/v1/resources?Limit=5": "unknown-parameter",
        "/v1/me?limit=5": "unknown-parameter",
        "/v1/resources?limit=5&limit=6": "validation-failed",
        "/v1/resources?limit=0": "validation-failed",
        "/v1/resources?limit=201": "validation-failed",
        "/v1/resources?limit=": "validation-failed",
        "/v1/resources?limit=1e2": "validation-failed",
        "/v1/resources?limit=99999999999999999999": "validation-failed",
        "/v1/resources?after=AAAA": "validation-failed",
        "/v1/resources?after=" + "A" * 32: "validation-failed",
        "/v1/resources?q=%00": "validation-failed",
        "/v1/resources?q=%ff": "validation-failed",
        "/v1/resources?q=%0a": "validation-failed",
        "/v1/resources?q=" + "x" * 256: "validation-failed",
        "/v1/resources?owner=me": "validation-failed",
        "/v1/resources?sort=name;drop": "validation-failed",
        "/v1/events?since=yesterday": "validation-failed",
        "/v1/events?since=2026-01-01T00:00:00": "validation-failed",
        "/v1/events/0": "validation-failed",
        "/v1/events/9223372036854775808": "validation-failed",
        "/v1/resources/not-an-id": "validation-failed",
        "/v1/resources?" + "&".join(f"q{number}=1" for number in range(101)): "validation-failed",
    }.items():
        yield Row(f"query: {path[:48]}", 422, code, method="GET", path=path, headers=())
    yield Row("query: of a command", 422, "unknown-parameter", GOOD, path=f"{RESOURCES}?dry=1")
    for path in (
        f"{RESOURCES}/{NOWHERE}",
        "/v1/nothing",
        "/v1/events/9223372036854775807",
        "/v1/me%00",
        "/v1/../etc/passwd",
    ):
        yield Row(f"path: {path}", 404, "not-found", method="GET", path=path, headers=())
    yield Row("path: an object that is not there", 404, "not-found", path=f"{RESOURCES}/{NOWHERE}/archive", headers=())
    for method in ("PUT", "DELETE", "TRACE", "QUERY"):
        yield Row(f"method: {method}", 405, "method-not-allowed", method=method, headers=())


def headers() -> Iterator[Row]:
    yield from of_commands()
    yield from of_questions()
    yield from of_any_request()


def of_commands() -> Iterator[Row]:
    for title, header, value in (
        ("If-Match without quotes", "If-Match", "1"),
        ("If-Match half quoted", "If-Match", '"1'),
        ("If-Match empty", "If-Match", ""),
        ("If-Match with text after it", "If-Match", '"1" x'),
        ("If-Match of 5,000 characters", "If-Match", '"' + "1" * 5000 + '"'),
        ("Idempotency-Key empty", "Idempotency-Key", ""),
        ("Idempotency-Key with a blank", "Idempotency-Key", "a b"),
        ("Idempotency-Key half quoted", "Idempotency-Key", '"abc'),
        ("Idempotency-Key of 256 characters", "Idempotency-Key", "k" * 256),
        ("Idempotency-Key not ASCII", "Idempotency-Key", "schlüssel"),
        ("X-Correlation-ID with a blank", "X-Correlation-ID", "a b"),
        ("X-Correlation-ID of 129 characters", "X-Correlation-ID", "c" * 129),
    ):
        extra = (JSON, (header, value))
        path = f"{RESOURCES}/{NOWHERE}"
        yield Row(f"header: {title}", 400, "malformed-header", GOOD, extra, method="PATCH", path=path)


def of_questions() -> Iterator[Row]:
    for title, header, value, code in (
        ("Consistency-Token of a stranger", "Consistency-Token", "AAAA", "malformed-consistency-token"),
        ("Consistency-Token with a blank", "Consistency-Token", "a b", "malformed-header"),
        ("Consistency-Token of 2,049 characters", "Consistency-Token", "a" * 2049, "malformed-header"),
        ("Prefer: wait without seconds", "Prefer", "wait", "malformed-header"),
        ("Prefer: wait for ever", "Prefer", "wait=-1", "malformed-header"),
        ("If-None-Match without quotes", "If-None-Match", "1", "malformed-header"),
    ):
        path = f"{RESOURCES}/{NOWHERE}"
        yield Row(f"header: {title}", 400, code, method="GET", path=path, headers=((header, value),))


def of_any_request() -> Iterator[Row]:
    for header in ("Idempotency-Key", "If-Match", "Content-Type", "Authorization", "Host", "traceparent"):
        twice = (JSON, (header, '"1"'), (header, '"2"'))
        yield Row(
            f"header: {header} twice",
            400,
            "malformed-header",
            GOOD,
            twice,
            method="PATCH",
            path=f"{RESOURCES}/{NOWHERE}",
        )
    yield Row(
        "header: Tenant in capitals",
        400,
        "malformed-header",
        REGISTRATION,
        (JSON, ("Tenant", "ACME")),
        path="/v1/users",
        token="none",
    )
    yield Row(
        "header: Tenant that is not there",
        404,
        "not-found",
        REGISTRATION,
        (JSON, ("Tenant", "nowhere")),
        path="/v1/users",
        token="none",
    )
    yield Row("header: of 33 KiB", 431, "header-fields-too-large", GOOD, (JSON, ("X-Large", "x" * 33_000)))
    yield Row("header: of 1 MiB", 431, "header-fields-too-large", GOOD, (JSON, ("X-Large", "x" * LIMIT)))
    yield Row(
        "header: 101 of them", 431, "header-fields-too-large", GOOD, (JSON, *((f"X-{n}", "1") for n in range(101)))
    )
    for title, odd in {"NUL": b"a\x00b", "carriage return": b"a\rb", "vertical tab": b"a\x0bb"}.items():
        yield Row(f"header: {title} in a value", 400, "bad-request", GOOD, (JSON, ("X-Odd", odd)))


def tokens() -> Iterator[Row]:
    for kind in (
        *("none", "expired", "of a foreign key", "truncated", "without signature", "with another signature"),
        *(
            "for another audience",
            "of another issuer",
            "of another type",
            "with alg none",
            "with HS256",
            "not yet valid",
        ),
        *("of 9,000 characters", "not a token", "empty", "as Basic", "with a key of its own"),
    ):
        yield Row(f"token: {kind}", 401, "unauthenticated", GOOD, token=kind)
        yield Row(f"token to read: {kind}", 401, "unauthenticated", method="GET", path="/v1/me", headers=(), token=kind)
    yield Row(
        "token: of a member, for an admin's question", 403, "forbidden", method="GET", path="/v1/users", headers=()
    )
    grant = f"/v1/users/{NOWHERE}/roles/admin"
    yield Row("token: of a member, for an admin's command", 403, "forbidden", method="PUT", path=grant, headers=())
    yield Row("feed: with a user's token", 401, "unauthenticated", method="GET", path="/v1/feed", headers=())


def smuggling() -> Iterator[Row]:
    hidden = b"0\r\n\r\nPOST /v1/resources HTTP/1.1\r\nHost: x\r\n\r\n"
    yield Row(
        "smuggling: length and chunks", 400, "bad-request", hidden, raw=announced("5", ("Transfer-Encoding", "chunked"))
    )
    yield Row(
        "smuggling: two lengths", 400, "bad-request", GOOD, raw=announced("4", ("Content-Length", str(len(GOOD))))
    )
    yield Row("smuggling: a list of lengths", 400, "bad-request", GOOD, raw=announced("4, 4"))
    yield Row("smuggling: a negative length", 400, "bad-request", GOOD, raw=announced("-1"))
    yield Row("smuggling: a length with a sign", 400, "bad-request", GOOD, raw=announced(f"+{len(GOOD)}"))
    yield Row("smuggling: a length in hexadecimal", 400, "bad-request", GOOD, raw=announced(hex(len(GOOD))))
    for title, line in {
        "a blank before the colon": b"X-Odd : 1",
        "a folded header": b"X-Odd: 1\r\n folded",
        "no colon": b"X-Odd",
        "an empty name": b": 1",
        "a control character in a name": b"X\x01Odd: 1",
        "an unknown coding": b"Transfer-Encoding: xchunked",
        "chunks that are not last": b"Transfer-Encoding: chunked, identity",
    }.items():
        yield Row(f"smuggling: {title}", 400, "bad-request", GOOD, raw=spliced(line))
    for title, chunk in {
        "a size that is none": b"zz\r\n{}\r\n0\r\n\r\n",
        "a negative size": b"-1\r\n{}\r\n0\r\n\r\n",
    }.items():
        yield Row(f"smuggling: {title}", 400, "bad-request", chunk, raw=unframed)
    nonsense, old = b"\x16\x03\x01\x02\r\n\r\n", b"POST /v1/resources\r\n\r\n"
    yield Row("smuggling: no HTTP at all", 400, "bad-request", nonsense, raw=whole)
    # HTTP before 1.0 had no headers, so it can bring no token.
    yield Row("smuggling: no version", 401, "unauthenticated", old, raw=whole)
