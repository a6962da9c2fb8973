"""Access tokens: what is signed comes back, keys come and go."""

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jose import jwk as jose_jwk

from shared_kernel.auth.claims import TokenRefused, UnknownKey
from shared_kernel.auth.jwk import Jwk, thumbprint
from shared_kernel.auth.tokens import AUDIENCE, ISSUER, SigningKey, TokenSigner, TokenVerifier
from shared_kernel.errors import StartupRefused
from tests.shared_kernel.auth.forging import (
    AT,
    KEY,
    NOW,
    OTHER,
    PRINCIPAL,
    SIGNER,
    TOKEN,
    Both,
    parts,
    refusal,
    segment,
    signed,
    verifier,
)


def test_signed_token_gives_back_the_principal() -> None:
    verified = verifier().verify(TOKEN, NOW)
    assert verified.principal == PRINCIPAL
    assert (verified.jti, verified.issued_at, verified.expires_at) == ("token-1", AT, AT + 600)


@pytest.mark.asvs("V7.2.2", "V9.2.4")
def test_token_has_the_type_claims_and_key_id_of_rfc_9068() -> None:
    header, claims = parts()
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": KEY.kid}
    assert set(claims) == {
        *("iss", "aud", "sub", "jti", "tenant", "sid", "roles", "roles_version", "acr", "auth_time", "client_id"),
        *("iat", "exp"),
    }
    assert claims["iss"] == ISSUER
    assert claims["aud"] == AUDIENCE


def test_token_of_a_release_that_knew_no_versions_of_roles_counts_as_older_than_any() -> None:
    header, claims = parts()
    del claims["roles_version"]
    assert verifier().verify(signed(header, claims), NOW).principal.roles_version == 0


def test_key_that_was_just_made_signs_and_is_published_for_signatures_under_its_thumbprint() -> None:
    key = SigningKey.from_pem(SigningKey.generate_pem())
    signer = TokenSigner(key)
    assert TokenVerifier(signer.keys).verify(signer.sign(PRINCIPAL, jti="1", now=NOW), NOW).principal == PRINCIPAL
    assert (key.public["use"], key.public["alg"], key.public["kid"]) == ("sig", "ES256", thumbprint(key.public))


def test_token_lives_as_long_as_its_signer_says_unless_told_otherwise() -> None:
    signer = TokenSigner(KEY, lifetime=60)
    usual, short = (signer.sign(PRINCIPAL, jti="1", now=NOW, lifetime=seconds) for seconds in (None, 5))
    assert [verifier().verify(token, NOW).expires_at for token in (usual, short)] == [AT + 60, AT + 5]


def test_unsigned_token_is_refused() -> None:
    header, claims = parts()
    unsigned = f"{segment(json.dumps({**header, 'alg': 'none'}).encode())}.{segment(json.dumps(claims).encode())}."
    assert refusal(unsigned) == "header"


@pytest.mark.asvs("V9.2.1")
def test_token_expires_to_the_second_whatever_was_remembered() -> None:
    remembering = verifier()
    assert remembering.verify(TOKEN, NOW + timedelta(seconds=599, microseconds=999_999)).jti == "token-1"
    with pytest.raises(TokenRefused):
        remembering.verify(TOKEN, NOW + timedelta(seconds=600))
    assert refusal(TOKEN, now=NOW + timedelta(seconds=600)) == "exp"


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"crv": "P-384"},
        {"alg": "ES384"},
        {"alg": None},
        {"use": "enc"},
        {"use": None},
        {"kid": "another"},
        {"key_ops": ["sign"]},
        {"d": "AQAB"},
        {"x": OTHER.public["x"]},
        {"x": "AAAA"},
        {"y": None},
        {"y": 7},
    ],
)
def test_published_key_that_is_not_ours_to_verify_with_is_refused(change: dict[str, Any]) -> None:
    jwk = {name: value for name, value in {**KEY.public, **change}.items() if value is not None}
    assert refusal(TOKEN, {KEY.kid: jwk}) == "key"


@pytest.mark.asvs("V11.6.1")
def test_point_that_is_not_on_the_curve_is_refused() -> None:
    jwk = {**KEY.public, "y": KEY.public["x"]}
    kid = thumbprint(jwk)
    header, claims = parts()
    assert refusal(signed({**header, "kid": kid}, claims), {kid: {**jwk, "kid": kid}}) == "key"


@pytest.mark.asvs("V11.2.2")
def test_rotation_keeps_the_old_key_s_tokens_until_it_is_withdrawn() -> None:
    published: dict[str, Jwk] = dict(TokenSigner(Both(OTHER, KEY)).keys())
    remembering = TokenVerifier(lambda: published)
    newer = TokenSigner(OTHER).sign(PRINCIPAL, jti="token-2", now=NOW)
    assert remembering.verify(TOKEN, NOW).jti == "token-1"
    assert remembering.verify(newer, NOW).jti == "token-2"
    del published[KEY.kid]
    assert remembering.verify(newer, NOW).jti == "token-2"
    with pytest.raises(UnknownKey):
        remembering.verify(TOKEN, NOW)


def test_remembered_token_dies_with_its_exact_key() -> None:
    published = dict(SIGNER.keys())
    remembering = TokenVerifier(lambda: published)
    remembering.verify(TOKEN, NOW)
    published[KEY.kid] = {**KEY.public, "use": "enc"}
    with pytest.raises(TokenRefused):
        remembering.verify(TOKEN, NOW)


def test_memory_for_verified_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_kernel.auth.tokens.CACHE_SIZE", 2)
    remembering = verifier()
    for number in range(5):
        remembering.verify(SIGNER.sign(PRINCIPAL, jti=str(number), now=NOW), NOW)
    assert len(remembering._verified) == 2


def test_token_is_checked_once_and_then_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = verifier()
    first = remembering.verify(TOKEN, NOW)
    monkeypatch.setattr(remembering, "_payload", None)
    assert remembering.verify(TOKEN, NOW + timedelta(seconds=599)) is first


def test_published_key_is_read_once_for_all_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = verifier()
    remembering.verify(TOKEN, NOW)
    monkeypatch.setattr("shared_kernel.auth.tokens._parse", None)
    other = SIGNER.sign(PRINCIPAL, jti="token-2", now=NOW)
    assert remembering.verify(other, NOW).jti == "token-2"


def test_token_used_last_is_forgotten_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_kernel.auth.tokens.CACHE_SIZE", 2)
    remembering = verifier()
    older, newer, newest = (SIGNER.sign(PRINCIPAL, jti=str(number), now=NOW) for number in range(3))
    for token in (older, newer, older, newest):
        remembering.verify(token, NOW)
    assert [entry[-1].jti for entry in remembering._verified.values()] == ["0", "2"]


def test_remembered_token_is_refused_when_the_clock_falls_before_its_issue() -> None:
    remembering = verifier()
    first = remembering.verify(TOKEN, NOW - timedelta(seconds=5))
    assert remembering.verify(TOKEN, NOW - timedelta(seconds=5)) is first, "remembered from its first second on"
    with pytest.raises(TokenRefused):
        remembering.verify(TOKEN, NOW - timedelta(seconds=6))


def test_refused_tokens_are_not_remembered() -> None:
    remembering = verifier()
    with pytest.raises(TokenRefused):
        remembering.verify(TOKEN[:-4] + "AAAA", NOW)
    assert not remembering._verified


def test_jwks_shows_only_public_parts_under_thumbprints() -> None:
    document = TokenSigner(Both(KEY, OTHER)).jwks()
    assert [key["kid"] for key in document["keys"]] == [KEY.kid, OTHER.kid]
    for key in document["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "alg", "use", "kid"}
        assert key["kid"] == thumbprint(key)


def test_thumbprint_is_the_one_of_rfc_7638() -> None:
    canonical = json.dumps({name: KEY.public[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    assert KEY.kid == segment(hashlib.sha256(canonical.encode()).digest())


def pem_of(key: Any) -> bytes:
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem


def encrypted_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass phrase"),
    )


@pytest.mark.asvs("V11.6.1")
@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not a key",
        pem_of(ec.generate_private_key(ec.SECP384R1())),
        pem_of(rsa.generate_private_key(65537, 2048)),
        encrypted_pem(),
    ],
    ids=["empty", "text", "P-384", "RSA", "encrypted"],
)
def test_any_other_key_is_refused_in_one_sentence(pem: bytes) -> None:
    with pytest.raises(StartupRefused, match=r"^The token key .*\.$"):
        SigningKey.from_pem(pem)


@pytest.mark.asvs("V11.2.1")
def test_library_with_the_unfixed_timing_leak_is_never_loaded() -> None:
    program = (
        "import sys, datetime, uuid\n"
        "from shared_kernel.auth.tokens import SigningKey, TokenSigner, TokenVerifier\n"
        "from shared_kernel.auth.principal import Principal\n"
        "signer = TokenSigner(SigningKey.from_pem(SigningKey.generate_pem()))\n"
        "now = datetime.datetime.now(datetime.UTC)\n"
        "who = Principal(uuid.uuid4(), 'default', uuid.uuid4(), (), '1', 1)\n"
        "TokenVerifier(signer.keys).verify(signer.sign(who, jti='1', now=now), now)\n"
        "sys.exit('ecdsa' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.asvs("V11.2.1")
def test_library_s_own_keys_are_the_ones_in_use() -> None:
    assert type(KEY.signer) is type(jose_jwk.construct(dict(KEY.public), "ES256"))
    assert type(KEY.signer).__module__ == "jose.backends.cryptography_backend"
