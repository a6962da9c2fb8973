"""Sealed text opens with its key in its place, and nowhere else."""

import base64
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from shared_kernel.privacy.cipher import (
    PREFIX,
    SubjectKey,
    Unreadable,
    bind,
    open_bytes,
    open_sealed,
    seal,
    seal_bytes,
)

KEY = SubjectKey(UUID(int=7), bytes(range(32)))
PLACE = bind("default", "users-1", "1", "email")
VECTOR = "enc:v1:AQEAAAAAAAAAAAAAAAAAAAAHAAECAwQFBgcICQoLJG6zerfVYh49nINWHXglE_39UOwt"
""""clear" at that place, with the nonce 0, 1, ... 11."""


@given(st.text())
def test_what_is_sealed_comes_back(text: str) -> None:
    assert open_sealed(KEY, seal(KEY, text, PLACE), PLACE) == text


@given(st.binary(), st.binary())
def test_sealed_bytes_come_back(plaintext: bytes, aad: bytes) -> None:
    assert open_bytes(KEY, seal_bytes(KEY, plaintext, aad), aad) == plaintext


@pytest.mark.asvs("V11.3.1", "V11.3.2")
def test_binary_form_is_the_documented_one() -> None:
    sealed = seal_bytes(KEY, b"clear", b"place")
    head, nonce, body = sealed[:18], sealed[18:30], sealed[30:]
    assert head == b"\x01\x01" + UUID(int=7).bytes
    assert AESGCM(KEY.secret).decrypt(nonce, body, head + b"place") == b"clear"
    assert len(body) == len(b"clear") + 16


def test_text_form_is_the_prefix_and_base64url_without_padding() -> None:
    sealed = seal(KEY, "clear", PLACE)
    body = sealed.removeprefix(PREFIX)
    assert PREFIX == "enc:v1:"
    assert "=" not in body
    assert open_bytes(KEY, base64.urlsafe_b64decode(body + "=="), PLACE) == b"clear"


def test_place_is_bound_by_lengths_and_utf_8() -> None:
    assert bind("ab", "", "\u00e9") == b"\x00\x00\x00\x02ab" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x02\xc3\xa9"


def test_what_an_earlier_release_sealed_is_opened() -> None:
    assert open_sealed(KEY, VECTOR, PLACE) == "clear"


@pytest.mark.parametrize("clear", ["", "a", "ab", "abc"])
def test_text_form_is_as_long_as_its_bytes_need(clear: str) -> None:
    needed = -(-(46 + len(clear)) * 4 // 3)
    lengths = {len(seal(KEY, clear, PLACE).removeprefix(PREFIX)) for _ in range(1_000)}
    assert lengths == {needed}


def test_nothing_of_the_clear_text_shows() -> None:
    assert b"canary-4711" not in seal_bytes(KEY, b"canary-4711", b"")


def test_sealing_twice_gives_two_ciphertexts() -> None:
    assert len({seal(KEY, "clear", PLACE) for _ in range(100)}) == 100


@pytest.mark.asvs("V11.3.3")
def test_ciphertext_of_another_place_is_refused() -> None:
    with pytest.raises(Unreadable):
        open_sealed(KEY, seal(KEY, "clear", PLACE), bind("default", "users-2", "1", "email"))


def test_another_key_is_told_apart_by_its_id() -> None:
    with pytest.raises(Unreadable, match=r"^This ciphertext was made with another key\.$"):
        open_sealed(SubjectKey(UUID(int=8), KEY.secret), seal(KEY, "clear", PLACE), PLACE)
    with pytest.raises(Unreadable):
        open_sealed(SubjectKey(KEY.key_id, bytes(32)), seal(KEY, "clear", PLACE), PLACE)


@pytest.mark.asvs("V11.3.3")
@given(st.integers(0, 50), st.integers(1, 255))
def test_no_changed_byte_is_accepted(place: int, change: int) -> None:
    sealed = bytearray(seal_bytes(KEY, b"clear", PLACE))
    sealed[place] ^= change
    with pytest.raises(Unreadable):
        open_bytes(KEY, bytes(sealed), PLACE)


@pytest.mark.parametrize("length", [0, 1, 17, 18, 30, 45])
def test_ciphertext_that_is_too_short_for_one_is_called_cut(length: int) -> None:
    with pytest.raises(Unreadable, match=r"^This ciphertext is cut short\.$"):
        open_bytes(KEY, seal_bytes(KEY, b"clear", PLACE)[:length], PLACE)


def test_cut_ciphertext_is_refused() -> None:
    with pytest.raises(Unreadable):
        open_bytes(KEY, seal_bytes(KEY, b"clear", PLACE)[:50], PLACE)
    assert open_bytes(KEY, seal_bytes(KEY, b"", PLACE), PLACE) == b""


@pytest.mark.parametrize("head", [b"\x02\x01", b"\x01\x02"], ids=["version", "algorithm"])
def test_ciphertext_of_another_format_is_refused_as_such(head: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^This ciphertext has a format that this release does not know\.$"):
        open_bytes(KEY, head + seal_bytes(KEY, b"clear", PLACE)[2:], PLACE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not a ciphertext"),
        ("clear", "is not a ciphertext"),
        ("enc:v2:AAAA", "is not a ciphertext"),
        ("ENC:v1:AAAA", "is not a ciphertext"),
        ("enc:v1:", "ciphertext is cut short"),
        ("enc:v1:!", "ciphertext is not base64url"),
        ("enc:v1:é", "ciphertext is not base64url"),
        ("enc:v1:A", "ciphertext is not base64url"),
        ("enc:v1:!!!!AAAA", "ciphertext is not base64url"),
    ],
)
def test_text_that_is_no_ciphertext_is_refused_for_what_it_is(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=rf"^This {why}\.$"):
        open_sealed(KEY, text, PLACE)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_lists_bind_to_different_places(left: list[str], right: list[str]) -> None:
    assert (bind(*left) == bind(*right)) == (left == right)


def test_key_keeps_its_secret_out_of_texts() -> None:
    assert repr(KEY.secret) not in repr(KEY)
    assert "secret" not in repr(KEY)
