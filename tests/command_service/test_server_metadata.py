"""OAuth clients learn from the server itself where tokens come from (RFC 8414), and what it says is true."""

from jose import jwt

from tests.support.command_side import PASSWORD, CommandSide


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
