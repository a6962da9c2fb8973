"""Sessions end over HTTP: by their owner, by an administrator, by a token; and nobody else's."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from jose import jwt

from shared_kernel.auth.principal import Principal
from tests.features.sessions.test_refresh import refresh, signed_in, status_with
from tests.support.command_side import CommandSide


def session_of(token: dict[str, Any]) -> str:
    return str(jwt.get_unverified_claims(token["access_token"])["sid"])


async def as_holder(command_side: CommandSide, method: str, path: str, token: dict[str, Any]) -> httpx2.Response:
    return await command_side.send(method, path, Authorization=f"Bearer {token['access_token']}")


@pytest.mark.asvs("V7.4.1")
async def test_signing_out_ends_access_and_refresh_token_at_once(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    answer = await as_holder(command_side, "DELETE", f"/v1/sessions/{session_of(token)}", token)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert await status_with(command_side, token["access_token"]) == 401
    assert (await refresh(command_side, token["refresh_token"])).status_code == 400


async def test_all_other_sessions_end_and_the_one_that_asks_goes_on(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(3)]
    answer = await as_holder(command_side, "DELETE", "/v1/sessions", tokens[1])
    assert answer.status_code == 200
    assert [await status_with(command_side, token["access_token"]) for token in tokens] == [401, 201, 401]
    again = await as_holder(command_side, "DELETE", "/v1/sessions", tokens[1])
    assert (again.status_code, again.json()["changed"], again.json()["id"]) == (200, False, session_of(tokens[1]))


@pytest.mark.asvs("V7.5.2")
async def test_other_sessions_end_only_with_a_fresh_proof_the_own_one_without(command_side: CommandSide) -> None:
    ada = await command_side.register()
    own, other = [await signed_in(command_side, ada) for _ in range(2)]
    claims = jwt.get_unverified_claims(own["access_token"])
    earlier = datetime.now(UTC) - timedelta(minutes=6)
    principal = Principal(ada.id, "default", UUID(claims["sid"]), ("member",), "aal1", int(earlier.timestamp()))
    old = {"access_token": command_side.services.signer.sign(principal, jti=str(uuid4()), now=datetime.now(UTC))}
    for path in (f"/v1/sessions/{session_of(other)}", f"/v1/sessions/{uuid4()}", "/v1/sessions"):
        refused = await as_holder(command_side, "DELETE", path, old)
        assert (refused.status_code, refused.json()["code"]) == (401, "step-up-required"), path
    assert await status_with(command_side, other["access_token"]) == 201
    assert (await as_holder(command_side, "DELETE", f"/v1/sessions/{session_of(other)}", own)).status_code == 200
    assert (await as_holder(command_side, "DELETE", f"/v1/sessions/{session_of(own)}", old)).status_code == 200
    assert await status_with(command_side, own["access_token"]) == 401


@pytest.mark.asvs("V7.4.5")
async def test_others_sessions_are_forbidden_unless_an_administrator_asks(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    bob = await command_side.register("Bob")
    admin = await command_side.register("Adm", roles=("member", "admin"))
    path = f"/v1/sessions/{session_of(token)}"
    assert (await command_side.send("DELETE", path, by=bob)).status_code == 403
    assert await status_with(command_side, token["access_token"]) == 201
    assert (await command_side.send("DELETE", path, by=admin)).status_code == 200
    assert await status_with(command_side, token["access_token"]) == 401


@pytest.mark.asvs("V8.4.1")
async def test_sessions_of_other_tenants_do_not_exist(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    await command_side.create_tenant("acme")
    stranger = await command_side.register("Sam", tenant="acme", roles=("member", "admin"))
    path = f"/v1/sessions/{session_of(token)}"
    assert (await command_side.send("DELETE", path, by=stranger)).status_code == 404


@pytest.mark.asvs("V10.4.9")
@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
async def test_revoking_a_token_ends_its_session(command_side: CommandSide, which: str) -> None:
    token = await signed_in(command_side)
    answer = await command_side.http.post("/v1/token/revoke", data={"token": token[which], "token_type_hint": which})
    assert (answer.status_code, answer.content, answer.headers["Cache-Control"]) == (200, b"", "no-store")
    assert await status_with(command_side, token["access_token"]) == 401
    assert (await refresh(command_side, token["refresh_token"])).status_code == 400
    again = await command_side.http.post("/v1/token/revoke", data={"token": token[which]})
    assert again.status_code == 200


async def test_revoking_what_is_no_token_is_answered_alike_and_ends_nothing(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    broken = token["refresh_token"][:-2] + "AA"
    for nothing in ("x", broken, f"{token['access_token']}x", "tlr_"):
        answer = await command_side.http.post("/v1/token/revoke", data={"token": nothing})
        assert (answer.status_code, answer.content) == (200, b""), nothing
    assert await status_with(command_side, token["access_token"]) == 201
    missing = await command_side.http.post("/v1/token/revoke", data={"token_type_hint": "refresh_token"})
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


async def test_given_up_place_is_free_again(command_side: CommandSide) -> None:
    ada = await command_side.register()
    tokens = [await signed_in(command_side, ada) for _ in range(5)]
    await as_holder(command_side, "DELETE", f"/v1/sessions/{session_of(tokens[2])}", tokens[2])
    await signed_in(command_side, ada)
    statuses = [await status_with(command_side, token["access_token"]) for token in tokens]
    assert statuses == [201, 201, 401, 201, 201]
