"""A user of another issuer at the doors of both services: let in as somebody of their tenant, with mapped roles."""

from pathlib import Path

import orjson
import pytest

from tests.support.cluster import Database, Vault
from tests.support.command_side import command_side_of
from tests.support.identity_provider import AUDIENCE, identity_provider, keycloak, signed
from tests.support.query_side import query_side_of

TRUST = {"audience": AUDIENCE, "tenant": "acme", "roles_claim": "realm_access.roles"}


def trusting(folder: Path, issuer: str) -> Path:
    path = folder / "issuers.json"
    path.write_bytes(orjson.dumps([{**TRUST, "issuer": issuer, "roles": {"twinlog-auditor": "member"}}]))
    return path


async def test_outside_user_sends_a_command(command_database: Database, vault_database: Vault, tmp_path: Path) -> None:
    async with identity_provider() as provider:
        settings = {"outside_issuers_file": trusting(tmp_path, provider.url)}
        async with command_side_of(command_database, vault_database, settings) as side:
            bearer = f"Bearer {signed(keycloak(provider.url))}"
            made = await side.send("POST", "/v1/resources", {"name": "x"}, Authorization=bearer)
            assert made.status_code == 201, made.text
            (row,) = await side.rows("SELECT tenant FROM events WHERE starts_with(topic, %s)", "resources.")
            assert row["tenant"] == "acme"
            for token in (signed(keycloak("https://evil.example")), signed({**keycloak(provider.url), "aud": "other"})):
                refused = await side.send("POST", "/v1/resources", {"name": "x"}, Authorization=f"Bearer {token}")
                assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
            forbidden = await side.send("POST", "/v1/policies", {}, Authorization=bearer)
            assert forbidden.status_code in {403, 422}, "a role there is none here"
            provider.documents = {}


async def test_outside_user_sets_no_second_factor_up_here(
    command_database: Database, vault_database: Vault, tmp_path: Path
) -> None:
    async with identity_provider() as provider:
        settings = {"outside_issuers_file": trusting(tmp_path, provider.url)}
        async with command_side_of(command_database, vault_database, settings) as side:
            bearer = f"Bearer {signed(keycloak(provider.url))}"
            refused = await side.send("POST", "/v1/me/totp", Authorization=bearer)
            assert (refused.status_code, refused.json()["code"]) == (404, "not-found")
            assert not await side.rows("SELECT topic FROM events WHERE tenant = 'acme'")


async def test_outside_user_asks_a_question(
    query_database: Database, vault_database: Vault, redis_url: str, tmp_path: Path
) -> None:
    async with identity_provider() as provider:
        path = trusting(tmp_path, provider.url)
        async with query_side_of(query_database, vault_database, redis_url, outside_issuers_file=path) as side:
            headers = {"Authorization": f"Bearer {signed(keycloak(provider.url))}"}
            assert (await side.http.get("/v1/resources", headers=headers)).json() == {"items": []}
            headers = {"Authorization": f"Bearer {signed(keycloak(provider.url), 'ES256')}"}
            assert (await side.http.get("/v1/resources", headers=headers)).status_code == 401


@pytest.mark.parametrize("content", [b"[", b"{}"])
async def test_service_does_not_start_with_an_unusable_file(
    command_database: Database, vault_database: Vault, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "issuers.json"
    path.write_bytes(content)
    with pytest.raises(Exception, match="not usable"):
        async with command_side_of(command_database, vault_database, {"outside_issuers_file": path}):
            raise AssertionError("it has started")
