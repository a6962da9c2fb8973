"""Why a password is refused is said in one sentence, and where each rule of the trivial ones begins and ends."""

import pytest

from shared_kernel.auth.passwords import WeakPassword, refuse_weak


@pytest.mark.parametrize(
    ("password", "personal", "why"),
    [
        ("seven77", (), "A password has 8 to 128 characters."),
        ("iloveyou", (), "This password is one of the first that anybody would try; choose another."),
        ("Ada Lovelace", ("Ada Lovelace",), "A password must not be your own name or address; choose another."),
        (
            "x+lovelace",
            ("x+lovelace@in@acme.example",),
            "A password must not be your own name or address; choose another.",
        ),
        (
            "lovelace-1815",
            ("Ada Lovelace",),
            "A password must be more than names, addresses and words of this place; choose another.",
        ),
    ],
    ids=["length", "common", "name", "address", "words"],
)
def test_refusal_says_which_rule_was_broken(password: str, personal: tuple[str, ...], why: str) -> None:
    with pytest.raises(WeakPassword) as refused:
        refuse_weak(password, *personal)
    assert refused.value.detail == why


@pytest.mark.parametrize(
    ("password", "trivial"),
    [("q7xq7xq7xq7xq7xq", True), ("q7xq7xq7xq7xq7xq7", False), ("k7xzk7xzk", False), ("k7xk7xk7x", True)],
    ids=["16 characters", "17 characters", "four repeated", "three repeated"],
)
def test_up_to_three_characters_repeated_are_trivial_in_up_to_sixteen(password: str, *, trivial: bool) -> None:
    if trivial:
        with pytest.raises(WeakPassword):
            refuse_weak(password)
    else:
        refuse_weak(password)
