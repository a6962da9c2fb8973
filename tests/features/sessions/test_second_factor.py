"""The second factor over HTTP: set up, asked for at sign-in and at step-up, each code once, removed."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from jose import jwt

from command_service.features.sessions.domain.totp import code_at
from tests.features.sessions.test_refresh import form, refresh, signed_in, status_with
from tests.support.cluster import Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, Person, command_side_of

STEP = 30
SOON = 5.0
"""Seconds within which whoever is given a code has shown it."""


class Factor:
    """An authenticator app: it never shows a step's code twice."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.step = int(time.time()) // STEP - 2

    async def code(self) -> str:
        """The oldest code that is still right, and will be for a moment; always the next would take half a minute."""
        if (left := STEP - time.time() % STEP) < SOON:
            await asyncio.sleep(left + 0.1)
        self.step = max(self.step + 1, int(time.time()) // STEP - 1)
        return code_at(self.secret, self.step).decode()


def bearer(token: dict[str, Any]) -> str:
    return f"Bearer {token['access_token']}"


async def set_up(command_side: CommandSide, token: dict[str, Any]) -> tuple[Factor, list[str]]:
    """The app and the recovery codes of a user with this token; the code of the step before this one is spent."""
    enrolled = await command_side.send("POST", "/v1/me/totp", Authorization=bearer(token))
    assert enrolled.status_code == 200, enrolled.text
    factor = Factor(enrolled.json()["secret"])
    activated = await command_side.send("PUT", "/v1/me/totp", {"otp": await factor.code()}, Authorization=bearer(token))
    assert activated.status_code == 200, activated.text
    return factor, activated.json()["recovery_codes"]


async def step_up(command_side: CommandSide, token: dict[str, Any], **proof: str) -> httpx2.Response:
    return await command_side.send("POST", "/v1/step-up", proof, Authorization=bearer(token))


async def protected(command_side: CommandSide) -> tuple[Person, dict[str, Any], Factor, list[str]]:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    return ada, token, *(await set_up(command_side, token))


async def test_enrolment_shows_secret_uri_and_picture_and_nothing_is_asked_for_yet(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    answer = await command_side.send("POST", "/v1/me/totp", Authorization=bearer(token), Idempotency_Key="k1")
    found = answer.json()
    assert (answer.status_code, found["version"], answer.headers["Cache-Control"]) == (200, 1, "no-store")
    assert len(found["secret"]) == 32
    assert found["otpauth_uri"].startswith(f"otpauth://totp/Twinlog:{ada.email.replace('@', '%40')}?")
    assert f"secret={found['secret']}&issuer=Twinlog&algorithm=SHA1&digits=6&period=30" in found["otpauth_uri"]
    assert found["qr_svg"].startswith("<svg")
    again = await command_side.send("POST", "/v1/me/totp", Authorization=bearer(token), Idempotency_Key="k1")
    assert (again.status_code, again.json()["code"]) == (409, "replay-unavailable")
    await signed_in(command_side, ada)


@pytest.mark.asvs("V7.5.1")
@pytest.mark.parametrize(("age", "status"), [(0, 200), (290, 200), (310, 401), (590, 401)])
async def test_second_factor_is_set_up_only_with_a_fresh_proof(
    command_side: CommandSide, age: int, status: int
) -> None:
    """Whoever finds an unlocked session must not be able to lock its user out."""
    ada = await command_side.register()
    old = command_side.access_token(ada, datetime.now(UTC) - timedelta(seconds=age), acr="aal1")
    answer = await command_side.send("POST", "/v1/me/totp", Authorization=f"Bearer {old}")
    assert answer.status_code == status, answer.text
    assert ("insufficient_user_authentication" in answer.headers.get("WWW-Authenticate", "")) is (status == 401)


@pytest.mark.asvs("V2.3.1")
async def test_sign_in_asks_for_a_code_once_one_has_activated_it(command_side: CommandSide) -> None:
    ada, token, factor, codes = await protected(command_side)
    assert len(set(codes)) == 10
    without = await command_side.sign_in(form(ada))
    assert (without.status_code, without.json()["error"]) == (400, "invalid_grant")
    assert "otp" in without.json()["error_description"]
    wrong = await command_side.sign_in(form(ada, password="not-the-password"))
    assert "otp" not in wrong.json()["error_description"]
    otp = await factor.code()
    fresh = await command_side.sign_in(form(ada, otp=otp))
    assert jwt.get_unverified_claims(fresh.json()["access_token"])["acr"] == "aal2"
    again = await command_side.sign_in(form(ada, otp=otp))
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert await status_with(command_side, token["access_token"]) == 201


@pytest.mark.asvs("V6.5.1")
async def test_two_hundred_uses_of_one_code_at_once_are_one_success(command_side: CommandSide) -> None:
    _, token, factor, _ = await protected(command_side)
    otp = await factor.code()
    answers = await asyncio.gather(*(step_up(command_side, token, otp=otp) for _ in range(200)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(403)) == (1, 199)


@pytest.mark.asvs("V6.5.1")
async def test_recovery_code_used_fifty_times_at_once_works_once(command_side: CommandSide) -> None:
    _, token, _, codes = await protected(command_side)
    answers = await asyncio.gather(*(step_up(command_side, token, otp=codes[0]) for _ in range(50)))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert (await step_up(command_side, token, otp=codes[1])).status_code == 200


@pytest.mark.asvs("V6.5.5")
async def test_operator_may_let_codes_count_for_thirty_seconds(
    command_database: Database, vault_database: Vault, redis_url: str
) -> None:
    settings = {"code_steps": 1, "redis_url": redis_url}
    async with command_side_of(command_database, vault_database, settings) as side:
        ada = await side.register()
        token = await signed_in(side, ada)
        secret = (await side.send("POST", "/v1/me/totp", Authorization=bearer(token))).json()["secret"]

        async def activated(steps_ago: int) -> int:
            body = {"otp": code_at(secret, int(time.time()) // 30 - steps_ago).decode()}
            return (await side.send("PUT", "/v1/me/totp", body, Authorization=bearer(token))).status_code

        assert await activated(1) == 422
        assert 200 in (await activated(0), await activated(0))  # a step may end between reading the clock and asking


@pytest.mark.asvs("V6.3.1")
async def test_guessing_ends_after_a_handful_of_tries(command_side: CommandSide) -> None:
    _, token, factor, _ = await protected(command_side)
    for _ in range(5):
        assert (await step_up(command_side, token, otp="000000")).status_code == 403
    assert (await step_up(command_side, token, otp=await factor.code())).status_code == 403
    rows = await command_side.rows("SELECT position FROM events WHERE topic = 'sessions.TotpCodeRefused.v1'")
    assert len(rows) == 5


@pytest.mark.asvs("V7.4.3")
async def test_removal_needs_a_fresh_proof_and_ends_the_other_sessions(command_side: CommandSide) -> None:
    ada, token, factor, codes = await protected(command_side)
    other = (await command_side.sign_in(form(ada, otp=await factor.code()))).json()
    refused = await command_side.send("DELETE", "/v1/me/totp", Authorization=bearer(token))
    assert (refused.status_code, refused.json()["code"]) == (401, "step-up-required")
    challenge = refused.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge
    assert 'acr_values="elevated", max_age="300"' in challenge
    assert (await step_up(command_side, token, password=PASSWORD)).status_code == 403
    elevated = (await step_up(command_side, token, otp=codes[3])).json()
    assert elevated.keys() == {"access_token", "token_type", "expires_in"}
    assert 290 <= elevated["expires_in"] <= 300
    removed = await command_side.send("DELETE", "/v1/me/totp", Authorization=bearer(elevated))
    assert removed.status_code == 200
    assert await status_with(command_side, other["access_token"]) == 401
    await signed_in(command_side, ada)


async def test_account_without_a_second_factor_steps_up_by_password(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    for wrong in ({"password": "not-the-password"}, {"otp": "123456"}, {}):
        assert (await step_up(command_side, token, **wrong)).status_code == 403
    elevated = (await step_up(command_side, token, password=PASSWORD)).json()
    before = jwt.get_unverified_claims(token["access_token"])
    after = jwt.get_unverified_claims(elevated["access_token"])
    assert (after["acr"], after["sid"]) == ("elevated", before["sid"])


async def test_refresh_keeps_an_elevation_but_never_renews_it(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    elevated = (await step_up(command_side, token, password=PASSWORD)).json()
    refreshed = (await refresh(command_side, token["refresh_token"])).json()
    then, now = (jwt.get_unverified_claims(each["access_token"]) for each in (elevated, refreshed))
    assert (now["acr"], now["auth_time"]) == ("elevated", then["auth_time"])
    assert now["exp"] <= then["auth_time"] + 301


async def test_elevation_ends_with_its_session(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    elevated = (await step_up(command_side, token, password=PASSWORD)).json()
    await command_side.http.post("/v1/token/revoke", data={"token": token["refresh_token"]})
    assert (await command_side.send("DELETE", "/v1/me/totp", Authorization=bearer(elevated))).status_code == 401
    assert (await step_up(command_side, token, password=PASSWORD)).status_code == 401


async def test_activation_without_enrolment_and_wrong_first_codes_are_refused(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    none = await command_side.send("PUT", "/v1/me/totp", {"otp": "123456"}, Authorization=bearer(token))
    assert (none.status_code, none.json()["code"]) == (409, "no-totp-to-activate")
    enrolled = await command_side.send("POST", "/v1/me/totp", Authorization=bearer(token))
    factor = Factor(enrolled.json()["secret"])
    for _ in range(2):  # a refusal is decided anew, with the same key too
        wrong = await command_side.send(
            "PUT", "/v1/me/totp", {"otp": "000000"}, Authorization=bearer(token), Idempotency_Key="same"
        )
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong-code")
    body = {"otp": await factor.code()}
    assert (await command_side.send("PUT", "/v1/me/totp", body, Authorization=bearer(token))).status_code == 200


@pytest.mark.asvs("V6.5.2")
async def test_log_holds_neither_secret_nor_recovery_codes(command_side: CommandSide) -> None:
    _, _, factor, codes = await protected(command_side)
    rows = await command_side.rows(
        "SELECT convert_from(payload, 'UTF8') AS data FROM events WHERE stream LIKE 'totp-%%'"
    )
    said = str(rows)
    assert len(rows) == 2
    assert factor.secret not in said
    assert not any(code in said for code in codes)
