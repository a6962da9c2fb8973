"""Passwords that are known from breaches, in a file that nobody reads as a whole."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from shared_kernel.auth.breached_passwords import BreachedPasswords
from shared_kernel.auth.passwords import Passwords, WeakPassword
from shared_kernel.errors import ServiceUnavailable, StartupRefused

LOST = [f"lost-password-{number}" for number in range(500)]


def written(path: Path, passwords: Iterable[str], *, counts: bool = True, end: str = "\r\n") -> Path:
    digests = sorted(hashlib.sha1(each.encode(), usedforsecurity=False).hexdigest().upper() for each in passwords)
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


@pytest.mark.asvs("V6.2.12")
async def test_breached_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    passwords = Passwords(breached=BreachedPasswords(written(tmp_path / "lost.txt", LOST)))
    with pytest.raises(WeakPassword, match="known from a breach") as refused:
        await passwords.refuse_weak("lost-password-77")
    assert "lost-password-77" not in str(refused.value)
    await passwords.refuse_weak("winter-otter-plays-chess")
    passwords.close()


async def test_file_that_cannot_be_read_any_more_lets_no_password_through(tmp_path: Path) -> None:
    breached = BreachedPasswords(written(tmp_path / "lost.txt", LOST))
    passwords = Passwords(breached=breached)
    (tmp_path / "lost.txt").write_bytes(b"")
    with pytest.raises(ServiceUnavailable):
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
