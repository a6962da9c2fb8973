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


def test_nothing_of_the_clear_text_shows() -> None:
    assert b"canary-4711" not in seal_bytes(KEY, b"canary-4711", b"")


def test_sealing_twice_gives_two_ciphertexts() -> None:
    assert len({seal(KEY, "clear", PLACE) for _ in range(100)}) == 100


@pytest.mark.asvs("V11.3.3")
def test_ciphertext_of_another_place_is_refused() -> None:
    with pytest.raises(Unreadable):
        open_sealed(KEY, seal(KEY, "clear", PLACE), bind("default", "users-2", "1", "email"))


def test_another_key_is_told_apart_by_its_id() -> None:
    with pytest.raises(Unreadable, match="another key"):
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


@pytest.mark.parametrize("length", [0, 1, 17, 18, 30, 45, 50])
def test_cut_ciphertext_is_refused(length: int) -> None:
    with pytest.raises(Unreadable):
        open_bytes(KEY, seal_bytes(KEY, b"clear", PLACE)[:length], PLACE)


@pytest.mark.parametrize(
    "text", ["", "clear", "enc:v1:", "enc:v1:!", "enc:v1:é", "enc:v2:AAAA", "ENC:v1:AAAA", "enc:v1:A"]
)
def test_text_that_is_no_ciphertext_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        open_sealed(KEY, text, PLACE)


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_different_lists_bind_to_different_places(left: list[str], right: list[str]) -> None:
    assert (bind(*left) == bind(*right)) == (left == right)


def test_key_keeps_its_secret_out_of_texts() -> None:
    assert repr(KEY.secret) not in repr(KEY)
    assert "secret" not in repr(KEY)
