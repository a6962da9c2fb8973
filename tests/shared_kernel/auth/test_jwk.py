"""Published keys: usable only as what they say they are, under the name that follows from them."""

from typing import Any

import pytest

from shared_kernel.auth.jwk import UnusableKey, decode_segment, encode_segment, require_usable, thumbprint
from tests.shared_kernel.auth.forging import KEY, OTHER, parts, refusal, signed


def test_own_key_is_usable() -> None:
    require_usable(KEY.kid, KEY.public)
    require_usable(KEY.kid, {**KEY.public, "key_ops": ["verify"]})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kty": "RSA"}, "wrong kty"),
        ({"crv": "P-384"}, "wrong crv"),
        ({"alg": "ES384"}, "wrong alg"),
        ({"use": "enc"}, "wrong use"),
        ({"kid": "another"}, "wrong kid"),
        ({"d": "AQAB"}, "private part"),
        ({"key_ops": ["sign"]}, "not for verifying"),
        ({"x": OTHER.public["x"]}, "thumbprint"),
    ],
)
def test_key_is_refused_for_the_reason_that_is_wrong_with_it(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableKey, match=reason):
        require_usable(KEY.kid, {**KEY.public, **change})


def test_other_key_under_a_known_name_is_refused() -> None:
    header, claims = parts()
    impostor = {**OTHER.public, "kid": KEY.kid}
    assert refusal(signed({**header, "kid": KEY.kid}, claims, OTHER), {KEY.kid: impostor}) == "key"


def test_thumbprint_looks_only_at_what_makes_the_key() -> None:
    bare = {name: KEY.public[name] for name in ("kty", "crv", "x", "y")}
    assert thumbprint(bare) == thumbprint(KEY.public) == KEY.kid


@pytest.mark.parametrize("data", [b"", b"\x00", b"ab", b"abc", b"\x00\x00\x17", bytes(range(256))])
def test_segment_has_one_spelling(data: bytes) -> None:
    assert decode_segment(encode_segment(data)) == data


@pytest.mark.asvs("V1.1.1")
@pytest.mark.parametrize("segment", ["A", "AA==", "AB", "A+B/", "AA A", "AAé", "AAAAA"])
def test_any_other_spelling_of_a_segment_is_refused(segment: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)base64|ascii|padding|data"):
        decode_segment(segment)


def test_spare_bits_in_a_segment_are_a_spelling_of_their_own() -> None:
    assert decode_segment("AA") == b"\x00"
    with pytest.raises(ValueError, match=r"^not canonical base64url$"):
        decode_segment("AB")
