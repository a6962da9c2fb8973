"""Forms and the errors of RFC 6749, section 5.2."""

import re

import httpx2
import pytest


async def test_form_is_taken(caller: httpx2.AsyncClient) -> None:
    assert (await caller.post("/v1/token", data={"grant_type": "password"})).json() == {"grant_type": "password"}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/x-www-form-urlencoded", 400),
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded", 400),
        (b"grant_type=%00", "application/x-www-form-urlencoded", 400),
        (b"username=" + b"x" * 30 + b"&grant_type=password", "application/x-www-form-urlencoded", 400),
        (b'{"grant_type": "password"}', "application/json", 415),
        (b"x" * 1_048_577, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_bad_form_is_an_invalid_request(
    caller: httpx2.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    answer = await caller.post("/v1/token", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    assert set(answer.json()) == {"error", "error_description"}
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.headers["content-type"] == "application/json"


async def test_wrong_credentials_are_an_invalid_grant(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/token", data={"grant_type": "password", "username": "nobody"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert "www-authenticate" not in answer.headers


async def test_description_holds_only_what_the_rfc_allows(caller: httpx2.AsyncClient) -> None:
    headers = {"Accept-Language": "de"}
    answer = await caller.post("/v1/token", data={"grant_type": "password", "username": "nobody"}, headers=headers)
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", answer.json()["error_description"])


async def test_unknown_parameter_of_the_token_address_is_an_invalid_request(caller: httpx2.AsyncClient) -> None:
    answer = await caller.post("/v1/token?colour=red", data={"grant_type": "password"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
