"""Passwords: hashed with Argon2id in a small pool of threads; refusing nobody takes as long as refusing somebody."""

import asyncio
import base64
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Self, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from shared_kernel.auth.breached_passwords import BreachedPasswords
from shared_kernel.auth.password_words import PRODUCT, is_made_of, words_of
from shared_kernel.errors import Refusal, ServiceUnavailable

MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
HASH_BYTES = 32
SALT_BYTES = 16
MIN_CHARACTERS = 8
MAX_CHARACTERS = 128
MIN_DISTINCT = 3
MAX_PERIOD = 3
MAX_TRIVIAL = 16
MAX_WAITING = 256

T = TypeVar("T")


class WeakPassword(Refusal):
    """Choose another password: at least 8 characters, not a known one, and not made of names that belong to you."""

    status = 422


class Passwords:
    """Argon2id with 19 MiB, two passes and one lane; at most `workers` hashes at a time, about 50 ms each.

    `words` are those that no new password may be made of, `breached` knows the passwords that others have lost.
    """

    def __init__(
        self, workers: int = 2, *, words: Iterable[str] = (), breached: BreachedPasswords | None = None
    ) -> None:
        self._words = words_of(*PRODUCT, *words)
        self._breached = breached
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES, type=Type.ID)
        self._nobody = _hash_of_nothing()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._waiting = 0

    @classmethod
    def guarded(cls, words: Iterable[str], breached: Path | None) -> Self:
        """With the breached passwords in a file, if one is given. Raises StartupRefused."""
        return cls(words=words, breached=None if breached is None else BreachedPasswords(breached))

    async def hash(self, password: str) -> str:
        """The encoded hash (parameters and salt included). Raises ServiceUnavailable when too many are waiting."""
        return await self._in_pool(lambda: self._hasher.hash(_bytes_of(password)))

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether the password fits the stored hash; None (nobody there) takes as long and is never right."""
        return await self._in_pool(lambda: self._fits(stored or self._nobody, password)) and stored is not None

    async def refuse_weak(self, password: str, *personal: str) -> None:
        """`refuse_weak` below, with the words of this place and the breached passwords of its operator.

        Raises WeakPassword, or ServiceUnavailable when they cannot be asked.
        """
        refuse_weak(password, *personal, words=self._words)
        if self._breached is not None and await self._in_pool(partial(_look_up, self._breached, password)):
            raise WeakPassword("This password is known from a breach; choose another.")

    def needs_rehash(self, stored: str) -> bool:
        """Whether the hash was made with other parameters than today's, so that sign-in should make a new one."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._breached is not None:
            self._breached.close()

    def _fits(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes_of(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_pool(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise ServiceUnavailable("Too many people are signing in at this moment; try again shortly.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


def refuse_weak(password: str, *personal: str, words: Iterable[str] = ()) -> None:
    """Raises WeakPassword for less than 8 or more than 128 characters, a common password, one or two different
    characters, a part repeated, characters that follow one another, one of `personal`, or hardly more than words.

    `personal` are the person's address, name and tenant; an address counts whole, up to its `@`, and by its words.
    `words` are others of `words_of`. Nothing is trimmed, folded or cut before a password is hashed; only this
    comparison ignores case.
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise WeakPassword(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    folded = password.casefold()
    if folded in common_passwords() or _is_trivial(folded):
        raise WeakPassword("This password is one of the first that anybody would try; choose another.")
    if folded in {form for text in personal for form in (text.casefold(), text.casefold().partition("@")[0])}:
        raise WeakPassword("A password must not be your own name or address; choose another.")
    if is_made_of(folded, words_of(*personal).union(words)):
        raise WeakPassword("A password must be more than names, addresses and words of this place; choose another.")


@lru_cache(maxsize=1)
def common_passwords() -> frozenset[str]:
    """The most common passwords of breaches, of at least eight characters, from the file beside this module."""
    text = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line.casefold() for line in text.splitlines() if not line.startswith("#"))


def _look_up(breached: BreachedPasswords, password: str) -> bool:
    try:
        return breached.know(password)
    except OSError:
        raise ServiceUnavailable("New passwords cannot be checked at this moment; try again shortly.") from None


def _is_trivial(password: str) -> bool:
    """`aaaabbbb`, `abcabcab`, `cdefghij`, `98765432`; what is long may repeat itself."""
    repeats = any(password[period:] == password[:-period] for period in range(1, MAX_PERIOD + 1))
    steps = {ord(after) - ord(before) for before, after in pairwise(password)}
    short = len(password) <= MAX_TRIVIAL
    return len(set(password)) < MIN_DISTINCT or (short and (repeats or steps in ({1}, {-1})))


def _bytes_of(password: str) -> bytes:
    """Exactly what was typed; even text that is not valid Unicode has bytes, so that it fails like a wrong password."""
    return password.encode("utf-8", "surrogatepass")


def _hash_of_nothing() -> str:
    """A well-formed hash with today's parameters that no password was ever made for: checking it costs the same."""
    salt, digest = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (SALT_BYTES, HASH_BYTES))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"
