"""Words that a password may not be made of."""

import re
from pathlib import Path

import pytest

from shared_kernel.auth.password_words import OWN_LETTERS, PRODUCT, is_made_of, words_of
from shared_kernel.auth.passwords import Passwords, WeakPassword

ROOT = Path(__file__).parents[3]
PERSON = ("ada.lovelace@acme.example", "Ada King", "acme-works")


@pytest.mark.asvs("V6.2.11")
@pytest.mark.parametrize(
    "password",
    [
        "Twinlog2026!",
        "tw1nl0g-2026",
        "TwinlogTwinlog",
        "admin-operator-1",
        "@dmin12345678",
        "ada.king.1815",
        "Lovelace#1815",
        "4cm3-w0rk5-99!",
        "acmeada123456",
        "initech-2026-x",
        "ÉCOLE-école-7",
    ],
)
async def test_password_that_is_made_of_words_of_the_context_is_refused(password: str) -> None:
    passwords = Passwords(words=("Initech", "école"))
    try:
        with pytest.raises(WeakPassword, match="more than names"):
            await passwords.refuse_weak(password, *PERSON)
    finally:
        passwords.close()


@pytest.mark.parametrize(
    "password",
    [
        "winter-otter-plays-chess",
        "twinlog-otter-chess",
        "adaptive winters",
        "x9Q2x8f7z1",
        "ada-password-1",
        "日本語のパスワード",
    ],
)
async def test_words_of_the_context_may_be_part_of_a_longer_password(password: str) -> None:
    passwords = Passwords(words=("Initech",))
    try:
        await passwords.refuse_weak(password, *PERSON)
    finally:
        passwords.close()


def test_own_letters_are_counted_without_digits_and_signs() -> None:
    words = words_of("acme")
    assert is_made_of("acme" + "wxyz"[: OWN_LETTERS - 1] + "2026!", words)
    assert not is_made_of("acme" + "wxyz"[:OWN_LETTERS] + "2026!", words)
    assert not is_made_of("12345678", words)


def test_overlapping_words_count_together() -> None:
    assert is_made_of("adamantine", words_of("adam", "mantine"))
    assert is_made_of("mantinadam9", words_of("adam", "mantin", "tina"))


def test_word_that_stands_there_again_and_again_is_still_one_word() -> None:
    assert is_made_of("12-adam-34-adam-56-adam", words_of("adam"))
    assert not is_made_of("12-adam-34-adam-wxyz", words_of("adam"))


def test_word_has_three_letters_at_least() -> None:
    assert words_of("ada", "bo") == {"ada"}


def test_addresses_and_names_count_by_their_words() -> None:
    assert words_of("Ada.King7@acme.example", "Bo") == words_of("ada", "king", "king7", "acme", "example")


@pytest.mark.asvs("V6.1.2")
def test_documented_words_are_those_that_are_refused() -> None:
    text = (ROOT / "docs/security/limits-and-browsers.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| words of this place \|(.*)\|$", text, re.MULTILINE)
    assert tuple(re.findall(r"`([a-z]+)`", row)) == PRODUCT
    assert "TWINLOG_PASSWORD_WORDS" in row
    assert f"fewer than {OWN_LETTERS} letters" in row.replace("two", "2")
