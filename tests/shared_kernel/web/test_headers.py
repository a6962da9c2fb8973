"""The headers of the wire contract."""

import httpx2
import pytest

from shared_kernel.errors import StaleVersion
from shared_kernel.web.headers import (
    IfMatch,
    MalformedHeader,
    Preferences,
    documented,
    etag,
    not_modified,
    parse_consistency_token,
    parse_idempotency_key,
    parse_if_match,
    parse_if_none_match,
    parse_prefer,
)
from tests.shared_kernel.web.sample_service import SIGNED_IN

THING = "/v1/things/018f2f1e-0000-7000-8000-000000000001"


def test_absent_if_match_admits_every_version() -> None:
    assert parse_if_match(None) == IfMatch()
    assert parse_if_match(None).admits(7)


def test_if_match_admits_the_versions_it_names() -> None:
    condition = parse_if_match('"3", "5"')
    assert condition.admits(3)
    assert condition.admits(5)
    assert not condition.admits(4)


def test_asterisk_admits_whatever_exists() -> None:
    assert parse_if_match("*").admits(1)


@pytest.mark.parametrize("tag", ['W/"3"', '"03"', '"abc"', '"3-gz"', '""', '"99999999999999999999"', '"-3"'])
def test_weak_and_foreign_tags_never_match(tag: str) -> None:
    with pytest.raises(StaleVersion):
        parse_if_match(tag).require(3)


@pytest.mark.parametrize("value", ["3", '"3', "", '"3" "4"', "*, *", 'w/"3"', '"3",', '"\u00e4\u0100"', '"a"' * 2000])
def test_if_match_that_is_no_list_of_tags_is_malformed(value: str) -> None:
    with pytest.raises(MalformedHeader):
        parse_if_match(value)


def test_etag_of_an_answer_fits_if_match() -> None:
    assert parse_if_match(etag(12)).admits(12)


@pytest.mark.parametrize("value", ['"3"', 'W/"3"', '"1", "3"', "*"])
def test_if_none_match_compares_weakly(value: str) -> None:
    assert parse_if_none_match(value).has('"3"')


def test_absent_if_none_match_has_nothing() -> None:
    assert not parse_if_none_match(None).has('"3"')


@pytest.mark.parametrize(
    ("value", "key"),
    [("abc", "abc"), ('"abc"', "abc"), ('"a\\"b\\\\"', 'a"b\\'), ("x" * 255, "x" * 255), ('a"b', 'a"b'), ("~!", "~!")],
)
def test_idempotency_key_is_taken_bare_or_quoted(value: str, key: str) -> None:
    assert parse_idempotency_key(value) == key


@pytest.mark.parametrize(
    "value", ["", '""', "a b", "x" * 256, '"abc', '"a"b"', "\u00e4", "a\tb", '"a\\x"', '"abc";q=1']
)
def test_idempotency_key_of_another_form_is_malformed(value: str) -> None:
    with pytest.raises(MalformedHeader):
        parse_idempotency_key(value)


def test_absent_idempotency_key_is_none() -> None:
    assert parse_idempotency_key(None) is None


@pytest.mark.parametrize("value", ["", "a b", "x" * 2049, "a.b", "\u00e4"])
def test_consistency_token_of_another_form_is_malformed(value: str) -> None:
    with pytest.raises(MalformedHeader):
        parse_consistency_token(value)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (None, None),
        ("respond-async", None),
        ("wait=5", 5),
        ('WAIT = "7"', 7),
        ("respond-async, wait=0", 0),
        ("wait=2; foo=bar", 2),
        ("waiting=x", None),
        ("wait=999999999", 60),
        ("wait=3, wait=5", 3),
        ("a=wait, b;wait=x", None),
        ("", None),
    ],
)
def test_prefer_says_how_long_to_wait(value: str | None, wait: int | None) -> None:
    assert parse_prefer(value) == Preferences(wait)


@pytest.mark.parametrize(
    "value",
    ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", 'wait="1', "wait;x=1", "a, wait ,b", "wait=1, wait=x"],
)
def test_prefer_without_seconds_is_malformed(value: str) -> None:
    with pytest.raises(MalformedHeader):
        parse_prefer(value)


def test_unknown_response_header_cannot_be_documented() -> None:
    with pytest.raises(KeyError):
        documented("X-Surprise")


def test_not_modified_keeps_the_tag_and_the_headers() -> None:
    answer = not_modified('"3"', {"Cache-Control": "private"})
    assert (answer.status_code, answer.headers["etag"], answer.headers["cache-control"]) == (304, '"3"', "private")


async def test_stale_if_match_is_answered_with_412(caller: httpx2.AsyncClient) -> None:
    answer = await caller.patch(THING, json={"name": "x"}, headers={**SIGNED_IN, "If-Match": '"2"'})
    assert (answer.status_code, answer.json()["code"]) == (412, "stale-version")


async def test_matching_if_match_is_let_through(caller: httpx2.AsyncClient) -> None:
    answer = await caller.patch(THING, json={"name": "x"}, headers={**SIGNED_IN, "If-Match": '"3"'})
    assert answer.status_code == 200


async def test_malformed_if_match_is_answered_with_400(caller: httpx2.AsyncClient) -> None:
    answer = await caller.patch(THING, json={"name": "x"}, headers={**SIGNED_IN, "If-Match": "3"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-header")


async def test_caller_who_has_the_representation_gets_304(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get(THING, headers={"If-None-Match": 'W/"3"'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"3"')


async def test_reading_headers_reach_the_route(caller: httpx2.AsyncClient) -> None:
    answer = await caller.get(THING, headers={"Consistency-Token": "abc", "Prefer": "wait=2"})
    assert answer.text == "abc 2"


async def test_absent_headers_reach_the_route_as_defaults(caller: httpx2.AsyncClient) -> None:
    assert (await caller.get(THING)).text == "None None"


@pytest.mark.parametrize("header", ["Idempotency-Key", "If-Match", "Authorization", "Tenant", "X-Correlation-ID"])
async def test_header_that_must_be_alone_is_refused_twice(caller: httpx2.AsyncClient, header: str) -> None:
    answer = await caller.get("/v1/things", headers=[(header, "a"), (header, "b")])
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-header")
    assert header in answer.json()["detail"]
