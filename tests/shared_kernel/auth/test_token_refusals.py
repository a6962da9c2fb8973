"""Access tokens: every rule of the strict wrapper refuses what breaks it."""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from shared_kernel.auth.claims import MAX_TOKEN_CHARACTERS, UnknownKey
from shared_kernel.auth.tokens import AUDIENCE
from tests.shared_kernel.auth.forging import (
    AT,
    KEY,
    NOW,
    OTHER,
    PRINCIPAL,
    TOKEN,
    parts,
    refusal,
    segment,
    signed,
    verifier,
)


def test_forger_of_these_tests_makes_acceptable_tokens() -> None:
    assert verifier().verify(signed(*parts()), NOW).principal == PRINCIPAL


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _token: "",
        lambda _token: ".",
        lambda _token: "x" * 20,
        lambda token: token.rsplit(".", 1)[0],
        lambda token: token + ".",
        lambda token: token + "." + token,
        lambda token: token.replace(".", ".."),
    ],
)
def test_anything_but_three_segments_is_refused(spoil: Callable[[str], str]) -> None:
    assert refusal(spoil(TOKEN)) == "segments"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token.replace("-", "+").replace("_", "/") + "+",
        lambda token: token[:-1] + "é",
        lambda token: token[:-1] + "\ud800",
        lambda token: token[:-1] + "?",
        lambda token: token + "AAA",
    ],
)
def test_segment_that_is_not_plain_base64url_is_refused(spoil: Callable[[str], str]) -> None:
    assert refusal(spoil(TOKEN)) == "encoding"


def test_other_spellings_of_the_same_signature_are_refused() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(TOKEN[-1])
    same_bytes = [alphabet[last ^ bits] for bits in range(1, 16)]
    assert {refusal(TOKEN[:-1] + char) for char in same_bytes} == {"encoding"}


@pytest.mark.parametrize("position", [0, 1])
def test_repeated_json_name_is_refused(position: int) -> None:
    both = [json.dumps(part) for part in parts()]
    name = ('"typ": "at+jwt"', '"tenant": "default"')[position]
    both[position] = both[position].replace(name, f"{name}, {name}")
    assert refusal(signed(both[0].encode(), both[1].encode())) == ("header", "claims")[position]


def test_repeated_name_deep_inside_is_refused() -> None:
    header, claims = parts()
    spoiled = json.dumps(claims)[:-1] + ', "extra": {"deep": [{"a": 1, "a": 2}]}}'
    assert refusal(signed(header, spoiled.encode())) == "claims"


@pytest.mark.asvs("V9.1.2")
@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "ES384", "ES512", "es256", "", None, 256, ["ES256"]])
def test_algorithm_other_than_the_key_s_own_is_refused(alg: Any) -> None:
    header, claims = parts()
    assert refusal(signed({**header, "alg": alg}, claims)) == "header"


@pytest.mark.asvs("V9.1.2")
@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_public_key_is_never_taken_for_an_hmac_secret(encoding: serialization.Encoding) -> None:
    header, claims = parts()
    public = KEY.signer.prepared_key.public_key()
    secret = public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = f"{segment(json.dumps({**header, 'alg': 'HS256'}).encode())}.{segment(json.dumps(claims).encode())}"
    assert refusal(f"{text}.{segment(hmac.digest(secret, text.encode(), hashlib.sha256))}") == "header"


@pytest.mark.asvs("V9.2.2")
@pytest.mark.parametrize("typ", ["JWT", "at+JWT", "AT+JWT", "application/at+jwt", "", None, "at+jwt "])
def test_other_type_is_refused(typ: str | None) -> None:
    header, claims = parts()
    assert refusal(signed({**header, "typ": typ}, claims)) == "header"


@pytest.mark.parametrize("member", ["alg", "typ", "kid"])
def test_header_without_a_required_member_is_refused(member: str) -> None:
    header, claims = parts()
    del header[member]
    assert refusal(signed(header, claims)) == "header"


@pytest.mark.asvs("V9.1.3")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("crit", []),
        ("crit", ["exp"]),
        ("b64", True),
        ("b64", False),
        ("jku", "https://attacker.example/keys"),
        ("x5u", "https://attacker.example/cert"),
        ("x5c", []),
        ("jwk", dict(OTHER.public)),
        ("zip", "DEF"),
        ("cty", "JWT"),
    ],
)
def test_header_member_that_could_change_the_meaning_is_refused(member: str, value: Any) -> None:
    header, claims = parts()
    assert refusal(signed({**header, member: value}, claims)) == "header"


@pytest.mark.parametrize("kid", ["", "unknown", "../../dev/null", "' OR 1=1 --", OTHER.kid])
def test_unknown_key_id_is_told_apart_so_that_keys_can_be_fetched(kid: str) -> None:
    header, claims = parts()
    token = signed({**header, "kid": kid}, claims)
    if not kid:
        assert refusal(token) == "header"
        return
    with pytest.raises(UnknownKey) as unknown:
        verifier().verify(token, NOW)
    assert (unknown.value.code(), unknown.value.reason) == ("unauthenticated", "kid")


@pytest.mark.parametrize(
    "data", [b"null", b"[]", b'"text"', b"{", b"\xff{}", b"\xef\xbb\xbf{}", b"", b"[" * 5_000, b"{} {}"]
)
def test_header_or_claims_that_are_not_one_json_object_are_refused(data: bytes) -> None:
    header, claims = parts()
    assert refusal(signed(data, claims)) == "header"
    assert refusal(signed(header, data)) == "claims"


@pytest.mark.asvs("V9.1.1")
def test_signature_of_another_key_is_refused() -> None:
    header, claims = parts()
    assert refusal(signed(header, claims, OTHER)) == "signature"


@pytest.mark.parametrize("length", [0, 1, 63, 65, 72, 128])
def test_signature_of_another_length_is_refused(length: int) -> None:
    head = TOKEN.rsplit(".", 1)[0]
    assert refusal(f"{head}.{segment(bytes(length))}") == "signature"


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "sub", "jti", "tenant", "sid", "roles", "acr", "auth_time", "client_id", "iat", "exp"]
)
def test_missing_or_null_claim_is_refused(claim: str) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, claim: None})) == "claims"
    del claims[claim]
    assert refusal(signed(header, claims)) == "claims"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf", "auth_time"])
@pytest.mark.parametrize("value", [float(AT), str(AT), True, None, -1, 10**12, [AT], 1e400])
def test_date_that_is_not_a_whole_number_of_seconds_is_refused(claim: str, value: Any) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, claim: value})) == "claims"


@pytest.mark.parametrize("value", [3.0, "3", True, None, -1, 2**63, [3]])
def test_version_of_roles_that_is_none_is_refused(value: Any) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, "roles_version": value})) == "claims"


@pytest.mark.asvs("V9.2.3", "V10.3.1")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "somebody-else"),
        ("iss", "twinlog "),
        ("aud", "another-api"),
    ],
)
def test_other_issuer_or_audience_is_refused(claim: str, value: str) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, claim: value})) == claim


@pytest.mark.asvs("V15.3.5")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("aud", [AUDIENCE]),
        ("aud", [AUDIENCE, "another-api"]),
        ("sub", ""),
        ("sub", "not-a-uuid"),
        ("sub", "018F3C5E-7A10-7D3E-8A55-1F2E3D4C5B6A"),
        ("sub", "{018f3c5e-7a10-7d3e-8a55-1f2e3d4c5b6a}"),
        ("sid", 7),
        ("tenant", ""),
        ("tenant", {"slug": "default"}),
        ("jti", ""),
        ("jti", 7),
        ("roles", "admin"),
        ("roles", [1]),
        ("roles", [""]),
        ("roles", {"admin": True}),
        ("acr", 1),
    ],
)
def test_claim_of_another_shape_is_refused(claim: str, value: Any) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, claim: value})) == "claims"


def test_token_from_the_future_is_refused_beyond_five_seconds_of_skew() -> None:
    assert verifier().verify(TOKEN, NOW - timedelta(seconds=5)).jti == "token-1"
    assert refusal(TOKEN, now=NOW - timedelta(seconds=6)) == "iat"


@pytest.mark.asvs("V9.2.1")
def test_token_is_refused_before_its_nbf() -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, "nbf": AT + 6})) == "nbf"
    assert verifier().verify(signed(header, {**claims, "nbf": AT + 5}), NOW).jti == "token-1"


@pytest.mark.parametrize("exp", [AT + 3_601, 253_402_300_799])
def test_far_future_token_is_refused(exp: int) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, "exp": exp})) == "lifetime"


def test_token_of_exactly_an_hour_is_the_longest_accepted() -> None:
    header, claims = parts()
    assert verifier().verify(signed(header, {**claims, "exp": AT + 3_600}), NOW).expires_at == AT + 3_600


@pytest.mark.parametrize("exp", [AT + 3, AT + 4])
def test_token_that_ends_before_or_as_it_begins_is_refused(exp: int) -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, "iat": AT + 4, "exp": exp})) == "lifetime"


def test_token_of_one_second_is_the_shortest_accepted() -> None:
    header, claims = parts()
    assert verifier().verify(signed(header, {**claims, "exp": AT + 1}), NOW).expires_at == AT + 1


def test_token_over_8_kib_is_refused_before_anything_is_read() -> None:
    header, claims = parts()
    assert refusal(signed(header, {**claims, "padding": "x" * MAX_TOKEN_CHARACTERS})) == "size"
    assert refusal("." * 10_000_000) == "size"


def test_token_of_8_kib_is_the_largest_accepted() -> None:
    header, claims = parts()
    sizes = {}
    for padding in range(5_620, 5_660):
        token = signed(header, {**claims, "padding": "x" * padding})
        sizes[len(token)] = token
    largest = sizes[max(size for size in sizes if size <= MAX_TOKEN_CHARACTERS)]
    assert len(largest) >= MAX_TOKEN_CHARACTERS - 1
    assert verifier().verify(largest, NOW).principal == PRINCIPAL


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_number_that_json_does_not_know_is_refused(constant: bytes) -> None:
    header, claims = parts()
    assert refusal(signed(header, json.dumps(claims).encode()[:-1] + b', "extra": ' + constant + b"}")) == "claims"


def test_unknown_claims_of_a_newer_release_are_tolerated() -> None:
    header, claims = parts()
    assert verifier().verify(signed(header, {**claims, "newer": {"x": 1}}), NOW).principal == PRINCIPAL
