"""Passwords that are known from breaches, in a file of any size: SHA-1 hashes in order, one a line."""

import errno
import hashlib
import os
import re
from bisect import bisect_left
from pathlib import Path

from shared_kernel.errors import StartupRefused

READ_BYTES = 128
"""Enough for the rest of any line (63 bytes at most) and the 40 digits of the next."""

_LINE = re.compile(rb"[0-9A-F]{40}(:\d{1,20})?")
_BEYOND = b"~"


class BreachedPasswords:
    """Looks a password up in a few dozen reads; nothing of the file is kept in memory. Safe for threads."""

    def __init__(self, path: Path) -> None:
        """Raises StartupRefused with one sentence when this is no such file."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StartupRefused(f"The breached passwords in {path} cannot be read: {error.strerror}.") from None
        self._size = os.fstat(self._file.fileno()).st_size
        ends = self._read(0).splitlines()[:1] + self._read(max(0, self._size - READ_BYTES)).splitlines()[-1:]
        if not ends or not all(_LINE.fullmatch(line) for line in ends):
            self._file.close()
            raise StartupRefused(f"The breached passwords in {path} are not lines of SHA-1 hashes in capitals.")

    def know(self, password: str) -> bool:
        """Raises OSError when the file cannot be read any more."""
        digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        wanted = digest.upper().encode()
        place = bisect_left(range(self._size), wanted, key=self._hash_after)
        return self._hash_after(place) == wanted

    def close(self) -> None:
        self._file.close()

    def _read(self, offset: int) -> bytes:
        found = os.pread(self._file.fileno(), READ_BYTES, offset)
        if not found and self._size:
            raise OSError(errno.ESTALE, "it has become shorter")
        return found

    def _hash_after(self, offset: int) -> bytes:
        """The hash of the first line that begins at this offset or later; greater than any when there is none."""
        if offset == 0:
            return self._read(0)[:40]
        _, line_break, after = self._read(offset - 1).partition(b"\n")
        return after[:40] if line_break and after else _BEYOND
