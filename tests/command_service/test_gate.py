"""Who gets in: tokens over HTTP, and what the caller hears when there is none that counts."""

from datetime import UTC, datetime, timedelta

import pytest

from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tokens import SigningKey, TokenSigner
from tests.support.command_side import CommandSide


async def refused(command_side: CommandSide, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await command_side.http.post("/v1/resources", json={"name": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), authorization
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.asvs("V7.2.1")
async def test_without_a_good_token_it_is_401(command_side: CommandSide) -> None:
    ada = await command_side.register()
    good = command_side.access_token(ada)
    for authorization in (None, "", "Bearer", good, f"Basic {good}", f"Bearer {good}x", f"Bearer {good} x"):
        await refused(command_side, authorization)
    accepted = await command_side.send("POST", "/v1/resources", {"name": "x"}, Authorization=f"bearer {good}")
    assert accepted.status_code == 201


async def test_expired_and_future_tokens_are_401(command_side: CommandSide) -> None:
    ada = await command_side.register()
    for moved in (timedelta(minutes=-11), timedelta(minutes=1)):
        await refused(command_side, f"Bearer {command_side.access_token(ada, datetime.now(UTC) + moved)}")


async def test_token_signed_with_another_key_is_401(command_side: CommandSide) -> None:
    ada = await command_side.register()
    now = datetime.now(UTC)
    stranger = TokenSigner(SigningKey.from_pem(SigningKey.generate_pem()))
    principal = Principal(ada.id, ada.tenant, ada.id, ("admin",), "aal1", int(now.timestamp()))
    await refused(command_side, f"Bearer {stranger.sign(principal, jti='forged', now=now)}")


async def test_published_keys_verify_the_tokens(command_side: CommandSide) -> None:
    answer = await command_side.http.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert key.keys() == {"alg", "kty", "crv", "x", "y", "use", "kid"}  # and no private part
