"""Passwords that are known from breaches, in a file that nobody reads as a whole."""

import errno
import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from shared_kernel.auth.breached_passwords import BreachedPasswords
from shared_kernel.auth.passwords import Passwords, WeakPassword
from shared_kernel.errors import ServiceUnavailable, StartupRefused

LOST = [f"lost-password-{number}" for number in range(500)]


def written(path: Path, passwords: Iterable[str], *, counts: bool = True, end: str = "\r\n") -> Path:
    digests = sorted(
        hashlib.sha1(each.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest().upper()
        for each in passwords
    )
    lines = [f"{digest}:{place * 7919 + 1}" if counts else digest for place, digest in enumerate(digests)]
    path.write_bytes(end.join(lines).encode())
    return path


@pytest.mark.asvs("V6.2.12")
@pytest.mark.parametrize("count", [1, 2, 3, 500])
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_breached_password_is_known_and_no_other(tmp_path: Path, count: int, counts: bool, end: str) -> None:
    breached = BreachedPasswords(written(tmp_path / "lost.txt", LOST[:count], counts=counts, end=end))
    assert all(breached.know(password) for password in LOST[:count])
    assert not any(breached.know(f"other-{number}") for number in range(300))
    breached.close()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_file_of_one_line_may_end_with_a_line_break(tmp_path: Path, end: str) -> None:
    path = written(tmp_path / "lost.txt", LOST[:1])
    path.write_bytes(path.read_bytes() + end.encode())
    breached = BreachedPasswords(path)
    assert [breached.know(password) for password in LOST[:2]] == [True, False]
    breached.close()


def test_text_that_is_not_valid_unicode_is_looked_up_too(tmp_path: Path) -> None:
    breached = BreachedPasswords(written(tmp_path / "lost.txt", ["lost-\ud800-password"]))
    assert breached.know("lost-\ud800-password")
    assert not breached.know("lost-\ud801-password")
    breached.close()


def test_file_that_has_become_shorter_is_an_error_of_the_file(tmp_path: Path) -> None:
    breached = BreachedPasswords(written(tmp_path / "lost.txt", LOST))
    (tmp_path / "lost.txt").write_bytes(b"")
    with pytest.raises(OSError, match=r"it has become shorter$") as refused:
        breached.know(LOST[0])
    assert refused.value.errno == errno.ESTALE
    breached.close()


async def test_operator_s_words_and_file_guard_new_passwords(tmp_path: Path) -> None:
    guarded = Passwords.guarded(("Initech",), written(tmp_path / "lost.txt", LOST))
    for password, why in (("initech-2026-x", "more than names"), (LOST[3], "known from a breach")):
        with pytest.raises(WeakPassword, match=why):
            await guarded.refuse_weak(password)
    guarded.close()
    without = Passwords.guarded(("Initech",), None)
    await without.refuse_weak(LOST[3])
    without.close()


@pytest.mark.asvs("V6.2.12")
async def test_breached_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    passwords = Passwords(breached=BreachedPasswords(written(tmp_path / "lost.txt", LOST)))
    with pytest.raises(WeakPassword, match=r"^This password is known from a breach; choose another\.$") as refused:
        await passwords.refuse_weak("lost-password-77")
    assert "lost-password-77" not in str(refused.value)
    await passwords.refuse_weak("winter-otter-plays-chess")
    passwords.close()


async def test_file_that_cannot_be_read_any_more_lets_no_password_through(tmp_path: Path) -> None:
    breached = BreachedPasswords(written(tmp_path / "lost.txt", LOST))
    passwords = Passwords(breached=breached)
    (tmp_path / "lost.txt").write_bytes(b"")
    with pytest.raises(
        ServiceUnavailable, match=r"^New passwords cannot be checked at this moment; try again shortly\.$"
    ):
        await passwords.refuse_weak("lost-password-77")
    passwords.close()


@pytest.mark.parametrize("content", [b"", b"\n", b"password\n", b"5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8\n"])
def test_other_file_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "lost.txt"
    path.write_bytes(content)
    with pytest.raises(StartupRefused, match=r"^The breached passwords in .* are not lines of SHA-1 hashes"):
        BreachedPasswords(path)


def test_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match="cannot be read: No such file"):
        BreachedPasswords(tmp_path / "nowhere.txt")
