"""Our own verifier and the one for outside issuers keep the same rules: one suite of forgeries, told to both."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.jwk import ECKey

from shared_kernel.auth.claims import TokenRefused, UnknownKey
from shared_kernel.auth.jwk import decode_segment, encode_segment
from shared_kernel.auth.outside.issuer import OutsideIssuer
from shared_kernel.auth.outside.tokens import OutsideVerifier
from shared_kernel.auth.tokens import SigningKey, TokenSigner, TokenVerifier
from tests.shared_kernel.auth.forging import PRINCIPAL

NOW = datetime(2026, 3, 12, 12, 0, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER = "https://id.example"
PEM = SigningKey.generate_pem()
KEY = SigningKey.from_pem(PEM)
FORGER = ECKey.import_key(serialization.load_pem_private_key(PEM, None))  # type: ignore[arg-type] # an EC key it is
GENUINE = TokenSigner(KEY, issuer=ISSUER, audience="api").sign(PRINCIPAL, jti="1", now=NOW)

Verify = Callable[[str], Any]


def by_python_jose(token: str) -> Any:
    return TokenVerifier(lambda: {KEY.kid: KEY.public}, issuer=ISSUER, audience="api").verify(token, NOW)


def by_joserfc(token: str) -> Any:
    issuer = OutsideIssuer(issuer=ISSUER, audience="api", tenant="acme", algorithms=("ES256",), types=("at+jwt",))
    return OutsideVerifier(issuer).verify(token, {KEY.kid: KEY.public}, NOW)


@pytest.fixture(params=[by_python_jose, by_joserfc])
def verify(request: pytest.FixtureRequest) -> Verify:
    verify: Verify = request.param
    return verify


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = GENUINE.split(".")
    return orjson.loads(decode_segment(header)), orjson.loads(decode_segment(claims))


def forged(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> str:
    """Signed with the true key, whatever stands in it."""
    header, claims = parts()
    change(header, claims)
    kept = {name: value for name, value in claims.items() if value is not None}
    text = f"{encode_segment(orjson.dumps(header))}.{encode_segment(orjson.dumps(kept))}"
    return f"{text}.{encode_segment(KEY.signer.sign(text.encode()))}"


def test_genuine_token_passes(verify: Verify) -> None:
    assert verify(GENUINE)
    assert verify(forged(lambda _, claims: claims.update(jti="2")))
    assert verify(jws.serialize_compact(parts()[0], orjson.dumps(parts()[1]), FORGER))


@pytest.mark.asvs("V6.8.2", "V9.1.1")
@pytest.mark.parametrize(
    "change",
    [
        lambda header, _: header.update(alg="none"),
        lambda header, _: header.update(alg="HS256"),
        lambda header, _: header.update(alg="es256"),
        lambda header, _: header.pop("alg"),
        lambda header, _: header.pop("typ"),
        lambda header, _: header.update(typ="JWT"),
        lambda header, _: header.pop("kid"),
        lambda header, _: header.update(kid="../../dev/null"),
        lambda header, _: header.update(kid=["a"]),
        lambda header, _: header.update(crit=["b64"], b64=False),
        lambda header, _: header.update(jku="https://evil.example"),
        lambda header, _: header.update(x5u="https://evil.example"),
        lambda header, _: header.update(jwk=dict(KEY.public)),
        lambda header, _: header.update(zip="DEF"),
        lambda _, claims: claims.update(iss="https://evil.example"),
        lambda _, claims: claims.update(iss=None),
        lambda _, claims: claims.update(aud="another"),
        lambda _, claims: claims.update(aud=None),
        lambda _, claims: claims.update(aud={"api": True}),
        lambda _, claims: claims.update(sub=None),
        lambda _, claims: claims.update(sub=7),
        lambda _, claims: claims.update(exp=None),
        lambda _, claims: claims.update(exp=AT),
        lambda _, claims: claims.update(exp=str(AT + 60)),
        lambda _, claims: claims.update(exp=AT + 60.5),
        lambda _, claims: claims.update(exp=1e300),
        lambda _, claims: claims.update(exp=AT + 10**9),
        lambda _, claims: claims.update(iat=None),
        lambda _, claims: claims.update(iat=AT + 60),
        lambda _, claims: claims.update(iat=True),
        lambda _, claims: claims.update(nbf=AT + 60),
    ],
)
def test_forgery_is_refused(verify: Verify, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> None:
    with pytest.raises((TokenRefused, UnknownKey)):
        verify(forged(change))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "=",
        lambda token: token + ".",
        lambda token: "." + token,
        lambda token: token.rsplit(".", 1)[0] + ".",
        lambda token: token.rsplit(".", 1)[0],
        lambda token: token[:-2] + ("AA" if not token.endswith("AA") else "BB"),
        lambda token: token.replace(".", "\n.", 1),
        lambda token: token.replace(".", " .", 1),
        lambda token: f"{token}\x00",
        lambda token: token.replace(token[40], "ä", 1),
        lambda _: "a" * 8_193,
        lambda _: "",
        lambda _: "..",
        lambda _: "e30.e30.e30",
        lambda _: f"{encode_segment(b'[' * 2_000)}.e30.e30",
        lambda _: f"{encode_segment(b'[]')}.e30.e30",
        lambda _: f"{encode_segment(bytes([0xFF, 0xFE]))}.e30.e30",
        lambda _: f"{encode_segment(b'{')}.e30.e30",
    ],
)
def test_spoiled_text_is_refused(verify: Verify, spoil: Callable[[str], str]) -> None:
    with pytest.raises(TokenRefused):
        verify(spoil(GENUINE))


@pytest.mark.parametrize("where", [0, 1])
def test_member_that_stands_twice_is_refused(verify: Verify, where: int) -> None:
    texts = [orjson.dumps(part) for part in parts()]
    texts[where] = texts[where][:-1] + b"," + texts[where][1:]
    signed = ".".join(encode_segment(text) for text in texts)
    with pytest.raises(TokenRefused):
        verify(f"{signed}.{encode_segment(KEY.signer.sign(signed.encode()))}")
