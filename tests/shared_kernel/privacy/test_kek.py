"""The key-encryption key: generations, and wrapped keys that open for their person only."""

import base64
import hashlib
from uuid import UUID

import pytest

from shared_kernel.privacy.cipher import SubjectKey, Unreadable
from shared_kernel.privacy.kek import Kek, UnusableKek

OLD, NEW = hashlib.sha256(b"old").digest(), hashlib.sha256(b"new").digest()
KEY = SubjectKey(UUID(int=7), bytes(range(32)))
KEK = Kek(2, {1: OLD, 2: NEW})
EXPECTED = "base64url of 32 random bytes, or lines `<generation>:<base64url>`"
VECTOR = bytes.fromhex(
    "000102030405060708090a0b4b64af6d5482538ac722b65d53e0098a1541"
    "bf7fdc1e076940b4cead036239f717c2303ee9050c997815f3c6b9f04a0a"
)
"""That key for alice of the tenant default under generation 2, with the nonce 0, 1, ... 11."""


def encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def test_wrapped_key_comes_back_for_its_person() -> None:
    wrapped = KEK.wrap(KEY, "default", "alice")
    assert len(wrapped) == 60
    assert KEK.unwrap(wrapped, 2, KEY.key_id, "default", "alice") == KEY
    assert KEY.secret not in wrapped


def test_key_that_an_earlier_release_wrapped_is_opened() -> None:
    assert KEK.unwrap(VECTOR, 2, KEY.key_id, "default", "alice") == KEY


@pytest.mark.asvs("V11.3.3")
@pytest.mark.parametrize(
    ("generation", "key_id", "tenant", "subject"),
    [
        (1, UUID(int=7), "default", "alice"),
        (2, UUID(int=8), "default", "alice"),
        (2, UUID(int=7), "other", "alice"),
        (2, UUID(int=7), "default", "bob"),
        (2, UUID(int=7), "defaul", "talice"),
        (3, UUID(int=7), "default", "alice"),
    ],
)
def test_wrapped_key_opens_for_nobody_else(generation: int, key_id: UUID, tenant: str, subject: str) -> None:
    with pytest.raises(Unreadable):
        KEK.unwrap(KEK.wrap(KEY, "default", "alice"), generation, key_id, tenant, subject)


@pytest.mark.parametrize("length", [0, 5, 12, 59])
def test_cut_wrapping_is_refused(length: int) -> None:
    with pytest.raises(Unreadable, match=r"^A wrapped key was changed or belongs to somebody else\.$"):
        KEK.unwrap(KEK.wrap(KEY, "default", "alice")[:length], 2, KEY.key_id, "default", "alice")


@pytest.mark.asvs("V11.2.2")
def test_new_generation_opens_what_the_old_one_wrapped_until_that_is_destroyed() -> None:
    wrapped = Kek(1, {1: OLD}).wrap(KEY, "default", "alice")
    assert KEK.unwrap(wrapped, 1, KEY.key_id, "default", "alice") == KEY
    with pytest.raises(Unreadable, match="Generation 1"):
        Kek(2, {2: NEW}).unwrap(wrapped, 1, KEY.key_id, "default", "alice")


def test_single_key_is_generation_one() -> None:
    assert Kek.parse(f" {encoded(OLD)}\n") == Kek(1, {1: OLD})
    assert Kek.parse(base64.urlsafe_b64encode(OLD).decode()) == Kek(1, {1: OLD})


def test_highest_of_several_generations_is_current() -> None:
    assert Kek.parse(f"2:{encoded(NEW)}\n\n1:{encoded(OLD)}\n") == KEK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "short",
        "!" * 43,
        encoded(OLD[:31]),
        encoded(OLD + b"x"),
        encoded(bytes(32)),
        encoded(b"ab" * 16),
        f"one:{encoded(OLD)}",
        f"0:{encoded(OLD)}",
        f"-1:{encoded(OLD)}",
        f"{2**31}:{encoded(OLD)}",
        f"1:{encoded(OLD)}\n1:{encoded(NEW)}",
        f"{encoded(OLD)}\n{encoded(NEW)}",
        f"1:{encoded(OLD)}\n2:short",
    ],
)
def test_unusable_setting_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(UnusableKek) as refused:
        Kek.parse(text)
    assert not text.strip() or text.strip() not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the key-encryption key is empty or names a generation twice"),
        (f"1:{encoded(OLD)}\n1:{encoded(NEW)}", "the key-encryption key is empty or names a generation twice"),
        (f"{encoded(OLD)[:9]}!!!!{encoded(OLD)[9:]}", f"the key-encryption key is not {EXPECTED}"),
        (encoded(OLD[:31]), f"generation 1 of the key-encryption key is not {EXPECTED}"),
        (f"0:{encoded(OLD)}", "a generation of the key-encryption key is a number from 1"),
    ],
)
def test_setting_is_refused_for_the_reason_that_is_wrong_with_it(text: str, why: str) -> None:
    with pytest.raises(UnusableKek) as refused:
        Kek.parse(text)
    assert str(refused.value) == why


def test_last_generation_that_the_vault_can_store_and_a_key_of_eight_different_bytes_are_usable() -> None:
    eight = bytes(byte % 8 for byte in OLD)
    assert len(set(eight)) == 8
    assert Kek.parse(f"{2**31 - 1}:{encoded(eight)}").keys == {2**31 - 1: eight}


def test_current_generation_must_exist() -> None:
    with pytest.raises(UnusableKek, match="no generation 3"):
        Kek(3, {1: OLD})


def test_kek_keeps_its_keys_out_of_texts() -> None:
    assert "keys" not in repr(KEK)
