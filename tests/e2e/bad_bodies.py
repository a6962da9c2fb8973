"""Rows of bad input whose bodies are bad: malformed, oversized, of wrong types, in wrong media types."""

import json
from collections.abc import Iterator

from tests.e2e.bad_row import FORM, GOOD, JSON, LIMIT, Row, announced, chunked


def name(value: str) -> bytes:
    return b'{"name": %b}' % value.encode()


def nested(depth: int) -> bytes:
    return b'{"name": "x", "attributes": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}"


def refused(title: str, body: bytes, *, status: int = 400, code: str = "malformed-body") -> Row:
    return Row(f"body: {title}", status, code, body)


def invalid(title: str, body: bytes) -> Row:
    return refused(title, body, status=422, code="validation-failed")


def bodies() -> Iterator[Row]:
    yield refused("none", b"", status=422, code="validation-failed")
    yield refused("not JSON", b"{name: x}")
    yield refused("half of a JSON text", b'{"name": "x"')
    yield refused("two JSON texts", b'{"name": "x"}{"name": "y"}')
    yield refused("not UTF-8", b'{"name": "\xff\xfe"}')
    yield refused("UTF-16", '{"name": "x"}'.encode("utf-16"))
    yield refused("byte order mark", b'\xef\xbb\xbf{"name": "x"}')
    yield refused("overlong UTF-8", b'{"name": "\xc0\xaf"}')
    yield refused("NUL written out", b'{"name": "a\x00b"}')
    yield refused("NUL escaped", rb'{"name": "a\u0000b"}')
    yield refused("NUL in a key", rb'{"name": "x", "attributes": {"a\u0000": 1}}')
    yield refused("lone high surrogate", rb'{"name": "\ud800"}')
    yield refused("lone low surrogate", rb'{"name": "\udc00x"}')
    yield refused("surrogates the wrong way round", rb'{"name": "\udc00\ud800"}')
    yield refused("lone surrogate in a key", rb'{"name": "x", "attributes": {"\ud800": 1}}')
    yield refused("duplicate key", b'{"name": "x", "name": "y"}')
    yield refused("duplicate key inside", b'{"name": "x", "attributes": {"a": 1, "a": 2}}')
    yield refused("duplicate key spelled with an escape", rb'{"name": "x", "n\u0061me": "y"}')
    yield refused("NaN", b'{"name": "x", "attributes": {"a": NaN}}')
    yield refused("Infinity", b'{"name": "x", "attributes": {"a": -Infinity}}')
    yield refused("a float beyond all floats", b'{"name": "x", "attributes": {"a": 1e999}}')
    yield refused("an integer of 65 bits", b'{"name": "x", "attributes": {"a": 18446744073709551616}}')
    yield refused("an integer of 10,000 digits", b'{"name": "x", "attributes": {"a": %b}}' % (b"9" * 10_000))
    yield refused("33 levels", nested(33))
    yield refused("100,000 lists in each other", b"[" * 100_000)
    yield refused("100,000 objects in each other", b'{"a":' * 100_000)


def oversized() -> Iterator[Row]:
    large = name('"' + "x" * LIMIT + '"')
    yield Row("oversized: announced", 413, "body-too-large", large)
    yield Row("oversized: announced and never sent", 413, "body-too-large", b"", raw=announced(str(LIMIT + 1)))
    yield Row("oversized: announced beyond any number", 413, "body-too-large", b"", raw=announced("9" * 18))
    yield Row("oversized: in chunks, unannounced", 413, "body-too-large", large, raw=chunked)
    form = b"grant_type=password&password=" + b"x" * LIMIT
    yield Row("oversized: form", 413, "invalid_request", form, (FORM,), path="/v1/token", token="none")


def types() -> Iterator[Row]:
    for title, body in {
        "null": b"null",
        "a list": b"[]",
        "a text": b'"name"',
        "a number": b"7",
        "name missing": b"{}",
        "name null": name("null"),
        "name a number": name("7"),
        "name an object": name("{}"),
        "name empty": name('""'),
        "name blank": name('"   "'),
        "name of 201 characters": name('"' + "x" * 201 + '"'),
        "name with a line break": name(r'"a\nb"'),
        "name with a control character": name(r'"a\u0007b"'),
        "unknown member": b'{"name": "x", "colour": "red"}',
        "prototype of all objects": b'{"name": "x", "__proto__": {}}',
        "classification unknown": b'{"name": "x", "classification": "secret"}',
        "classification a list": b'{"name": "x", "classification": ["public"]}',
        "description of 2,001 characters": b'{"name": "x", "description": "%b"}' % (b"x" * 2001),
        "attributes a list": b'{"name": "x", "attributes": []}',
        "attributes nested 6 levels": nested(6),
        "attributes with 65 keys": json.dumps({"name": "x", "attributes": dict.fromkeys(map(str, range(65)))}).encode(),
        "attributes of 17 KiB": json.dumps({"name": "x", "attributes": {"a": "x" * 17_408}}).encode(),
        "tags a text": b'{"name": "x", "tags": "a"}',
        "a tag with a blank": b'{"name": "x", "tags": ["a b"]}',
        "21 tags": json.dumps({"name": "x", "tags": [f"t{n}" for n in range(21)]}).encode(),
    }.items():
        yield invalid(title, body)
    person = '{"email": "%s", "password": "%s", "name": "Ada"}'
    for title, email, password, code in (
        ("an address without @", "nobody", "winter-otter-plays-chess", "validation-failed"),
        ("an address with a line break", r"a@example.com\nb", "winter-otter-plays-chess", "validation-failed"),
        ("a password of 129 characters", "a@example.com", "x" * 129, "validation-failed"),
        ("a password that everybody tries", "a@example.com", "password1", "weak-password"),
    ):
        yield Row(f"body: {title}", 422, code, (person % (email, password)).encode(), path="/v1/users", token="none")


def media() -> Iterator[Row]:
    for title, content_type in {
        "none": "",
        "text": "text/plain",
        "a form": "application/x-www-form-urlencoded",
        "XML": "application/xml",
        "multipart": "multipart/form-data; boundary=x",
        "Latin-1": "application/json; charset=iso-8859-1",
        "UTF-16": 'application/json; charset="utf-16"',
        "two types": "application/json, text/plain",
        "nonsense": ";;;=",
    }.items():
        headers = (("Content-Type", content_type),) if content_type else ()
        yield Row(f"media type: {title}", 415, "unsupported-media-type", GOOD, headers)
    for coding in ("gzip", "br", "identity, gzip"):
        encoded = (JSON, ("Content-Encoding", coding))
        yield Row(f"encoding: {coding}", 415, "unsupported-media-type", GOOD, encoded)
    yield Row("media type: JSON for a form", 415, "invalid_request", b"{}", path="/v1/token", token="none")
    for title, form in {
        "field twice": b"grant_type=password&grant_type=password",
        "not UTF-8": b"grant_type=%ff",
        "NUL": b"grant_type=password&username=%00&password=x",
        "65 fields": b"&".join(b"f%d=1" % number for number in range(65)),
        "empty": b"",
    }.items():
        yield Row(f"form: {title}", 400, "invalid_request", form, (FORM,), path="/v1/token", token="none")
