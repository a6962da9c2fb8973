"""OAuth clients learn from the server itself where tokens come from (RFC 8414), and what it says is true."""

import pytest
from jose import jwt

from tests.support.cluster import Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, command_side_of, settings_of

URL = "postgresql://nobody@db.example/x"
ADDRESS = "https://commands.example/twinlog"


async def test_issuer_may_be_the_address_that_clients_look_metadata_up_at(
    command_database: Database, vault_database: Vault
) -> None:
    """RFC 8414, sections 2 and 3.3: an https URL, the one that clients began with, and that of every token."""
    async with command_side_of(command_database, vault_database, {"issuer": ADDRESS}) as side:
        found = (
            await side.http.get("/.well-known/oauth-authorization-server", headers={"Host": "forged.example"})
        ).json()
        assert found["issuer"] == ADDRESS
        assert {found["token_endpoint"], found["revocation_endpoint"], found["jwks_uri"]} == {
            f"{ADDRESS}/v1/token",
            f"{ADDRESS}/v1/token/revoke",
            f"{ADDRESS}/.well-known/jwks.json",
        }
        ada = await side.register()
        form = {"grant_type": "password", "username": ada.email, "password": PASSWORD}
        token = (await side.sign_in(form)).json()["access_token"]
        assert jwt.get_unverified_claims(token)["iss"] == ADDRESS
        answer = await side.send("POST", "/v1/resources", {"name": "orjson"}, Authorization=f"Bearer {token}")
        assert answer.status_code == 201
        revoked = await side.http.post("/v1/token/revoke", data={"token": token})
        assert revoked.status_code == 200
        answer = await side.send("POST", "/v1/resources", {"name": "orjson"}, Authorization=f"Bearer {token}")
        assert answer.status_code == 401


@pytest.mark.parametrize("issuer", ["", "other", "http://commands.example", "https://commands.example?x=1", "ftp://x"])
def test_issuer_that_is_no_safe_address_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        settings_of(Database("x", URL, URL), Vault("x", URL, URL, URL), issuer=issuer)


async def test_metadata_lead_to_tokens_keys_and_revocation(command_side: CommandSide) -> None:
    answer = await command_side.http.get("/.well-known/oauth-authorization-server")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    found = answer.json()
    ada = await command_side.register()
    form = {"grant_type": found["grant_types_supported"][0], "username": ada.email, "password": PASSWORD}
    token = (await command_side.http.post(found["token_endpoint"], data=form)).json()
    refreshing = {"grant_type": found["grant_types_supported"][1], "refresh_token": token["refresh_token"]}
    assert (await command_side.http.post(found["token_endpoint"], data=refreshing)).status_code == 200
    (key,) = (await command_side.http.get(found["jwks_uri"])).json()["keys"]
    claims = jwt.decode(token["access_token"], key, algorithms=[key["alg"]], audience="twinlog-api")
    assert claims["iss"] == found["issuer"]
    assert claims["acr"] in found["acr_values_supported"]
    assert [key["alg"]] == found["access_token_signing_alg_values_supported"]
    revoked = await command_side.http.post(found["revocation_endpoint"], data={"token": token["refresh_token"]})
    assert revoked.status_code == 200
