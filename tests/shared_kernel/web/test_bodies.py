"""What a body may be, before any route sees it."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from shared_kernel.web import bodies
from shared_kernel.web.bodies import MAX_DEPTH, admit_body, check_form, strict_json
from shared_kernel.web.headers import MalformedHeader
from shared_kernel.web.problems import MalformedBody, RequestTimeout
from shared_kernel.web.routes import Body, Manners
from tests.shared_kernel.web.sample_service import SIGNED_IN, calling, sample_application

THING = "/v1/things/018f2f1e-0000-7000-8000-000000000001"
JSON = {**SIGNED_IN, "Content-Type": "application/json"}
PATCH = "application/merge-patch+json"
MANNERS = Manners("/x", frozenset(), frozenset(), Body.JSON, ("application/json",), 1000, None)

MALFORMED = {
    "nothing but space": b"  ",
    "cut off": b'{"name": "Lamp"',
    "trailing text": b'{"name": "Lamp"} x',
    "single quotes": b"{'name': 'Lamp'}",
    "NaN": b'{"name": "Lamp", "attributes": {"x": NaN}}',
    "Infinity": b'{"name": "Lamp", "attributes": {"x": -Infinity}}',
    "a float beyond all bounds": b'{"name": "Lamp", "attributes": {"x": 1e999}}',
    "an integer of 65 bits": b'{"name": "Lamp", "attributes": {"x": 18446744073709551616}}',
    "an integer of 5,000 digits": b'{"name": "Lamp", "attributes": {"x": ' + b"9" * 5000 + b"}}",
    "the same name twice": b'{"name": "Lamp", "name": "Chair"}',
    "the same name twice, one escaped": b'{"name": "Lamp", "n\\u0061me": "Chair"}',
    "the same name twice, inside": b'{"name": "Lamp", "attributes": {"x": [{"y": 1, "y": 1}]}}',
    "a NUL in a value": b'{"name": "La\\u0000mp"}',
    "a NUL in a name": b'{"name": "Lamp", "attributes": {"\\u0000": 1}}',
    "a raw NUL": b'{"name": "La\x00mp"}',
    "half a surrogate pair": b'{"name": "\\ud83d"}',
    "half a surrogate pair in a name": b'{"name": "Lamp", "attributes": {"\\udead": 1}}',
    "UTF-16": '{"name": "Lamp"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"name": "Lamp"}',
    "Latin-1": '{"name": "Möbel"}'.encode("latin-1"),
    "an overlong encoding": b'{"name": "\xc0\xaf"}',
    "33 levels": b'{"name": "Lamp", "attributes": {"x": ' + b"[" * 31 + b"]" * 31 + b"}}",
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "100,000 levels, never closed": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_body_is_refused_before_the_route(caller: httpx2.AsyncClient, body: bytes) -> None:
    answer = await caller.post("/v1/things", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-body"), answer.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "Lamp"}',
        '{"name": "Möbel 💡"}'.encode(),
        b'{"name": "\\ud83d\\udca1"}',
        b'{"name": "Lamp", "attributes": {"x": 9223372036854775807, "y": -9223372036854775808, "z": 1.5e300}}',
        b'{"name": "Lamp", "attributes": ' + b'{"x":' * 29 + b"[1]" + b"}" * 29 + b"}",
        b' \r\n\t{"name": "Lamp"}\n',
        b'{"name": "Lamp", "tags": []}',
    ],
)
async def test_well_formed_body_reaches_the_route(caller: httpx2.AsyncClient, body: bytes) -> None:
    answer = await caller.post("/v1/things", content=body, headers=JSON)
    assert answer.status_code == 201, answer.text


def test_limit_of_nesting_is_exact() -> None:
    assert strict_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(MalformedBody):
        strict_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert len(strict_json(b"[" + b"[]," * 99 + b"[]]")) == 100


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/merge-patch+json",
        "application/jsonx",
        "x" * 5000,
    ],
)
async def test_wrong_media_type_or_charset_is_refused(caller: httpx2.AsyncClient, content_type: str) -> None:
    headers = {**SIGNED_IN, "Content-Type": content_type}
    answer = await caller.post("/v1/things", content=b'{"name": "Lamp"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"', "application/json ; v=1"]
)
async def test_media_type_may_be_written_in_any_way(caller: httpx2.AsyncClient, content_type: str) -> None:
    headers = {**SIGNED_IN, "Content-Type": content_type}
    assert (await caller.post("/v1/things", content=b'{"name": "Lamp"}', headers=headers)).status_code == 201


async def test_encoded_body_is_refused(caller: httpx2.AsyncClient) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert (await caller.post("/v1/things", content=b"\x1f\x8b", headers=headers)).status_code == 415


@pytest.mark.parametrize("content_type", [PATCH, "application/json"])
async def test_merge_patch_is_taken_under_both_names(caller: httpx2.AsyncClient, content_type: str) -> None:
    headers = {**SIGNED_IN, "Content-Type": content_type}
    answer = await caller.patch(THING, content=b'{"name": "Chair"}', headers=headers)
    assert answer.json() == {"name": "Chair"}


@pytest.mark.parametrize("body", [b"", b"{}", b" { } "])
async def test_route_without_body_ignores_an_empty_one(caller: httpx2.AsyncClient, body: bytes) -> None:
    assert (await caller.post(f"{THING}/sell", content=body, headers=JSON)).status_code == 409


@pytest.mark.parametrize("body", [b'{"price": 1}', b"[]", b"null"])
async def test_route_without_body_refuses_one_that_means_something(caller: httpx2.AsyncClient, body: bytes) -> None:
    answer = await caller.post(f"{THING}/sell", content=body, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


async def test_body_beyond_the_limit_is_refused_by_its_announced_length(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/things", content=b'{"name": "' + b"x" * 1_048_576 + b'"}', headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    assert "1048576 bytes" in answer.json()["detail"]


async def test_body_beyond_the_limit_is_refused_when_it_comes_in_chunks(caller: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65_536

    answer = await caller.post("/v1/things", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_single_chunk_beyond_the_limit_is_refused() -> None:
    async def chunk() -> AsyncIterator[bytes]:
        yield b" " * 21

    async with calling(sample_application(max_body_bytes=20)) as caller:
        assert (await caller.post("/v1/things", content=chunk(), headers=JSON)).status_code == 413


async def test_announced_body_that_is_empty_is_a_missing_one(caller: httpx2.AsyncClient) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    answer = await caller.post("/v1/things", content=nothing(), headers=JSON)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "")


async def test_body_in_chunks_is_put_together(caller: httpx2.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"na', b'me": "La', b'mp"}'):
            yield part

    assert (await caller.post("/v1/things", content=chunks(), headers=JSON)).json()["name"] == "Lamp"


async def test_limit_can_be_set() -> None:
    async with calling(sample_application(max_body_bytes=20)) as caller:
        assert (await caller.post("/v1/things", json={"name": "x" * 20}, headers=SIGNED_IN)).status_code == 413
        assert (await caller.post("/v1/things", json={"name": "x"}, headers=SIGNED_IN)).status_code == 201


async def test_streamed_upload_is_bounded_while_it_flows() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 40

    async with calling(sample_application(max_body_bytes=100)) as caller:
        headers = {**SIGNED_IN, "Content-Type": "image/png"}
        assert (await caller.post(f"{THING}/picture", content=chunks(), headers=headers)).status_code == 413
        assert (await caller.post(f"{THING}/picture", content=b"x" * 100, headers=headers)).text == "100"
        assert (await caller.post(f"{THING}/picture", content=b"x", headers=JSON)).status_code == 415


@pytest.mark.asvs("V4.2.1")
@pytest.mark.parametrize("length", [b"-1", b"1e3", b"\xd9\xa3", b"9" * 30])
async def test_length_that_is_no_number_is_refused(length: bytes) -> None:
    async def receive() -> Message:
        raise AssertionError("such a body is not read")

    with pytest.raises(MalformedHeader):
        await admit_body(MANNERS, {b"content-length": length}, {}, receive)


@pytest.mark.asvs("V15.3.7")
@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"a=%00", b"a=%ff", b"\xff=1", b"&".join([b"a%d=1" % n for n in range(65)])]
)
def test_form_that_two_readers_could_understand_differently_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        check_form(body)


def test_plain_form_is_taken() -> None:
    check_form(b"grant_type=password&username=a%40b.org&empty=")


async def test_body_that_stops_arriving_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "READ_SECONDS", 0.01)
    parts: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def receive() -> Message:
        return parts.pop() if parts else await asyncio.get_running_loop().create_future()

    with pytest.raises(RequestTimeout):
        await admit_body(MANNERS, {b"content-length": b"2"}, {}, receive)


async def test_caller_who_leaves_ends_the_reading() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(ClientDisconnect):
        await admit_body(MANNERS, {b"content-length": b"2"}, {}, receive)


async def test_route_still_hears_that_the_caller_left() -> None:
    messages: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{}"}]

    async def receive() -> Message:
        return messages.pop()

    headers = {b"content-length": b"2", b"content-type": b"application/json"}
    replay = await admit_body(MANNERS, headers, {}, receive)
    assert (await replay())["body"] == b"{}"
    assert (await replay())["type"] == "http.disconnect"
