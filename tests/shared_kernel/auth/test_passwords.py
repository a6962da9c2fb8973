"""Passwords: what is accepted, how it is hashed, and that nobody is told apart by time."""

import asyncio
import time
from collections.abc import Iterator
from statistics import median

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from shared_kernel.auth import passwords as module
from shared_kernel.auth.passwords import Passwords, WeakPassword, common_passwords, refuse_weak
from shared_kernel.errors import ServiceUnavailable

GOOD = "correct horse battery staple"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    pool = Passwords()
    yield pool
    pool.close()


async def test_right_password_fits_its_hash_and_no_other_does(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert await passwords.verify(stored, GOOD)
    for wrong in ("", GOOD + " ", " " + GOOD, GOOD.upper(), GOOD + "\x00", GOOD[:-1]):
        assert not await passwords.verify(stored, wrong)


@pytest.mark.asvs("V11.4.2")
async def test_hash_is_argon2id_with_19_mib_two_passes_and_one_lane(passwords: Passwords) -> None:
    parameters = extract_parameters(await passwords.hash(GOOD))
    assert (parameters.type, parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (
        Type.ID,
        19_456,
        2,
        1,
    )


@pytest.mark.asvs("V11.4.2")
async def test_same_password_never_gives_the_same_hash(passwords: Passwords) -> None:
    assert await passwords.hash(GOOD) != await passwords.hash(GOOD)


@pytest.mark.asvs("V6.2.8")
@pytest.mark.parametrize("tail", ["b" * 60, "\x00after", "é", "e\u0301", "\ud800"])
async def test_password_counts_to_its_last_character(passwords: Passwords, tail: str) -> None:
    long = "a" * 72 + tail
    stored = await passwords.hash(long)
    assert await passwords.verify(stored, long)
    assert not await passwords.verify(stored, long[:-1])


@pytest.mark.asvs("V6.2.8")
async def test_composed_and_decomposed_letters_are_different_passwords(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9-caf\u00e9")
    assert not await passwords.verify(stored, "cafe\u0301-cafe\u0301")


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=1,t=1,p=1$broken"])
async def test_nobody_and_broken_hashes_fit_no_password(passwords: Passwords, stored: str | None) -> None:
    assert not await passwords.verify(stored, GOOD)


async def test_nobody_takes_as_long_as_somebody(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)

    async def seconds(candidate: str | None) -> float:
        begun = time.perf_counter()
        await passwords.verify(candidate, "wrong password")
        return time.perf_counter() - begun

    pairs = [(await seconds(stored), await seconds(None)) for _ in range(9)]
    known, unknown = (median(column) for column in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2, (known, unknown)


async def test_old_parameters_ask_for_a_new_hash(passwords: Passwords) -> None:
    assert not passwords.needs_rehash(await passwords.hash(GOOD))
    assert not passwords.needs_rehash(passwords._nobody)
    older = PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash(GOOD)
    assert passwords.needs_rehash(older)
    assert await passwords.verify(older, GOOD)


async def test_event_loop_goes_on_while_passwords_are_hashed(passwords: Passwords) -> None:
    hashing = asyncio.gather(*(passwords.hash(GOOD) for _ in range(6)))
    ticks = 0
    while not hashing.done():
        await asyncio.sleep(0.001)
        ticks += 1
    assert ticks > 10


@pytest.mark.asvs("V15.2.2")
async def test_queue_is_bounded(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    results = await asyncio.gather(*(passwords.hash(GOOD) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(result, ServiceUnavailable) for result in results) == 3
    assert await passwords.hash(GOOD), "the places must be free again"


@pytest.mark.asvs("V6.2.5", "V6.2.9")
@pytest.mark.parametrize(
    "password", ["tr7!kqz9", "x9Q2" * 32, GOOD, "日本語のパスワード", "aaaaaaaaaaaaaaaabc", "mnopqrsu", "q7xq7xq7z"]
)
def test_uncommon_password_is_accepted_without_rules_of_composition(password: str) -> None:
    refuse_weak(password, "alice@example.org", "Alice")


@pytest.mark.asvs("V6.2.1", "V6.2.9")
@pytest.mark.parametrize("password", ["", "x9q7z3k", "é" * 7, "q" * 129])
def test_password_outside_8_to_128_characters_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword, match="8 to 128"):
        refuse_weak(password)


@pytest.mark.asvs("V6.2.4")
@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password",
        "PASSWORD1",
        "12345678",
        "qwertyuiop",
        "iloveyou",
        "trustno1",
        "        ",
        "aaaaaaaaaaaaaaaaaaaa",
        "zZzzZZzz",
        "7q7q7q7q7q",
        "q7xQ7Xq7x",
        "mnopqrstu",
        "TSRQPONML",
    ],
)
def test_common_or_trivial_password_is_refused_in_any_case(password: str) -> None:
    with pytest.raises(WeakPassword, match="anybody would try"):
        refuse_weak(password)


@pytest.mark.parametrize(
    "password", ["alice.cooper@example.org", "Alice.Cooper@Example.ORG", "alice.cooper", "alice cooper"]
)
def test_own_address_or_name_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword, match="own name or address"):
        refuse_weak(password, "Alice.Cooper@example.org", "Alice Cooper")


def test_refusal_is_a_422_and_never_repeats_the_password() -> None:
    with pytest.raises(WeakPassword) as refused:
        refuse_weak("iloveyou")
    assert (refused.value.status, refused.value.code()) == (422, "weak-password")
    assert "iloveyou" not in str(refused.value)


@pytest.mark.asvs("V6.2.4", "V6.2.12")
def test_list_of_common_passwords_covers_what_the_length_rule_lets_through() -> None:
    assert len(common_passwords()) >= 10_000
    assert all(len(password) >= 8 for password in common_passwords())
