"""Refresh tokens over HTTP: exchanged once, forgiving to a lost answer, fatal to a thief."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.support.command_side import PASSWORD, CommandSide, Person


def form(person: Person, **changes: str) -> dict[str, str]:
    return {"grant_type": "password", "username": person.email, "password": PASSWORD, **changes}


async def signed_in(command_side: CommandSide, person: Person | None = None) -> dict[str, Any]:
    answer = await command_side.sign_in(form(person or await command_side.register()))
    assert answer.status_code == 200, answer.text
    token: dict[str, Any] = answer.json()
    return token


async def refresh(command_side: CommandSide, token: str) -> httpx2.Response:
    return await command_side.sign_in({"grant_type": "refresh_token", "refresh_token": token})


async def status_with(command_side: CommandSide, access_token: str) -> int:
    answer = await command_side.send("POST", "/v1/resources", {"name": "x"}, Authorization=f"Bearer {access_token}")
    return answer.status_code


async def test_refresh_token_brings_a_new_pair_in_its_own_tenant(command_side: CommandSide) -> None:
    await command_side.create_tenant("acme")
    ada = await command_side.register(tenant="acme")
    first = (await command_side.sign_in(form(ada), Tenant="acme")).json()
    second = await refresh(command_side, first["refresh_token"])
    assert second.status_code == 200
    assert second.headers["Cache-Control"] == "no-store"
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert await status_with(command_side, second.json()["access_token"]) == 201


async def test_repeated_exchange_brings_the_same_successor_however_many_ask_at_once(command_side: CommandSide) -> None:
    first = await signed_in(command_side)
    answers = await asyncio.gather(*(refresh(command_side, first["refresh_token"]) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    rows = await command_side.rows("SELECT position FROM events WHERE topic = 'sessions.SessionRefreshed.v1'")
    assert len(rows) == 1


@pytest.mark.asvs("V10.4.5")
async def test_reuse_of_an_older_token_ends_the_session_and_every_token_of_it(command_side: CommandSide) -> None:
    first = await signed_in(command_side)
    second = (await refresh(command_side, first["refresh_token"])).json()
    third = (await refresh(command_side, second["refresh_token"])).json()
    stolen = await refresh(command_side, first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await refresh(command_side, third["refresh_token"])).status_code == 400
    for token in (first, second, third):
        assert await status_with(command_side, token["access_token"]) == 401
    (row,) = await command_side.rows(
        "SELECT convert_from(payload, 'UTF8')::json AS data FROM events WHERE topic = 'sessions.SessionEnded.v1'"
    )
    assert row["data"]["reason"] == "refresh-token-reused"


@pytest.mark.parametrize("change", ["", "x", "tlr_", "tlr_AAAA", "{}=", "{}A", "\u00e9"])
async def test_what_is_no_refresh_token_is_an_invalid_grant(command_side: CommandSide, change: str) -> None:
    good = (await signed_in(command_side))["refresh_token"]
    answer = await refresh(command_side, change.format(good))
    assert answer.status_code == 400
    assert answer.json()["error"] == ("invalid_grant" if change else "invalid_request")
    assert (await refresh(command_side, good)).status_code == 200


async def test_log_holds_no_refresh_token_nor_its_hash_in_clear(command_side: CommandSide) -> None:
    token = (await signed_in(command_side))["refresh_token"]
    (row,) = await command_side.rows(
        "SELECT convert_from(payload, 'UTF8')::json AS data FROM events WHERE topic = 'sessions.SessionStarted.v1'"
    )
    assert token not in str(row)
    sealed = ("refresh_hash", "device", "network")
    assert all(row["data"][name].startswith("enc:") for name in sealed)


@pytest.mark.asvs("V2.3.2")
async def test_sixth_sign_in_ends_the_oldest_session(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(6)]
    statuses = [await status_with(command_side, token["access_token"]) for token in tokens]
    assert statuses == [401, *[201] * 5]
    assert (await refresh(command_side, tokens[0]["refresh_token"])).status_code == 400


@pytest.mark.asvs("V2.3.2")
async def test_no_more_than_five_sessions_go_on_however_many_sign_in_at_once(command_side: CommandSide) -> None:
    ada = await command_side.register()
    answers = await asyncio.gather(*(command_side.sign_in(form(ada)) for _ in range(12)))
    tokens = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    assert len(tokens) >= 5
    statuses = [await status_with(command_side, token) for token in tokens]
    assert statuses.count(201) == 5
