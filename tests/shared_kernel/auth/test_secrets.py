"""Derived keys and the refusal of secrets that are none."""

import hashlib
import hmac

import pytest

from shared_kernel.auth.secrets import Mac, WeakSecret, derive, require_strong

SECRET = bytes(range(7, 39))


def test_one_purpose_always_gives_the_same_32_bytes() -> None:
    assert derive(SECRET, "cursor") == derive(SECRET, "cursor")
    assert len(derive(SECRET, "cursor")) == 32


@pytest.mark.asvs("V11.4.1", "V11.4.3")
def test_derivation_is_hkdf_with_sha256_as_rfc_5869_has_it() -> None:
    pseudorandom = hmac.digest(bytes(32), SECRET, hashlib.sha256)
    assert derive(SECRET, "cursor") == hmac.digest(pseudorandom, b"twinlog/cursor\x01", hashlib.sha256)


def test_purposes_and_secrets_give_unrelated_keys() -> None:
    purposes = ("consistency-token", "cursor", "feed", "claim", "idempotency", "idempotency-fingerprint")
    keys = {derive(secret, purpose) for secret in (SECRET, SECRET[::-1]) for purpose in purposes}
    assert len(keys) == 2 * len(purposes)


@pytest.mark.parametrize(
    "value",
    [
        hashlib.sha256(b"1").digest(),
        hashlib.sha512(b"2").hexdigest(),
        "rK4-9vQ2pLx7Wd0sZt1Bm8Yc5Nf3Ah6G",
        b"\x00" + hashlib.sha256(b"3").digest(),
    ],
    ids=["bytes", "hex", "text", "leading-zero"],
)
def test_random_secret_is_accepted(value: str | bytes) -> None:
    require_strong("TWINLOG_SHARED_SECRET", value)


@pytest.mark.asvs("V13.2.3")
@pytest.mark.parametrize(
    "value",
    [
        "",
        "short",
        hashlib.sha256(b"4").digest()[:31],
        "a" * 64,
        "0" * 32,
        "changeme" * 4,
        hashlib.sha256(b"5").digest()[:16] * 2,
        hashlib.sha256(b"5").digest()[:21] * 2,
        "0123456789abcdef" * 2,
        "k9Zp2mXq7Rw4" * 3,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "zyxwvutsrqponmlkjihgfedcba9876543210",
        "this-is-my-Secret-value-for-now-9a8b7c",
        "PASSWORDpasswordPassw0rd-and-more-of-it",
        b"\x00\x01" * 16,
    ],
)
def test_short_repeated_counting_or_placeholder_secret_is_refused(value: str | bytes) -> None:
    with pytest.raises(WeakSecret, match="TWINLOG_SHARED_SECRET"):
        require_strong("TWINLOG_SHARED_SECRET", value)


def test_pattern_is_one_when_it_stands_there_twice_in_whole() -> None:
    part = hashlib.sha256(b"7").digest()[:17]
    require_strong("TWINLOG_SHARED_SECRET", part + part[:-1])
    with pytest.raises(
        WeakSecret, match=r"^TWINLOG_SHARED_SECRET repeats a pattern; it needs at least 32 random bytes\.$"
    ):
        require_strong("TWINLOG_SHARED_SECRET", part + part)


def test_counting_is_when_more_than_half_of_the_bytes_follow_their_neighbour() -> None:
    for following, strong in ((16, True), (17, False)):
        value = bytes(range(50, 50 + following + 1)) + bytes(range(100, 250, 7))[: 31 - following]
        assert len(value) == 32
        if strong:
            require_strong("TWINLOG_SHARED_SECRET", value)
        else:
            with pytest.raises(WeakSecret):
                require_strong("TWINLOG_SHARED_SECRET", value)


def test_eight_different_bytes_in_no_order_are_the_fewest_accepted() -> None:
    digest = hashlib.sha512(b"6").digest()
    require_strong("TWINLOG_SHARED_SECRET", bytes(byte % 8 * 29 for byte in digest))
    with pytest.raises(WeakSecret):
        require_strong("TWINLOG_SHARED_SECRET", bytes(byte % 7 * 29 for byte in digest))


def test_refusal_never_repeats_the_secret() -> None:
    with pytest.raises(WeakSecret) as refused:
        require_strong("TWINLOG_KEK", "hunter2-hunter2-")
    assert "hunter2" not in str(refused.value)


@pytest.mark.asvs("V11.4.1")
def test_mac_that_is_set_up_once_is_the_hmac_of_the_standard_library() -> None:
    mac = Mac(b"k" * 32)
    for message in (b"", b"one", b"two" * 100, b"one"):
        assert mac.of(message) == hmac.digest(b"k" * 32, message, hashlib.sha256)
