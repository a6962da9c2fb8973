"""Temporary folders that an unprivileged user can enter, which pytest's own are not; none is left for ever."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local import lodging

PREFIX = "twinlog-test-"
IN_USE = ".in-use"
"""A file that a test process holds locked while it lives."""


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder; it is deleted at the end with everything that engines keep elsewhere on its behalf.

    What test processes left behind that were killed is deleted on this occasion.
    """
    sweep(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o711)
    with (folder / IN_USE).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            delete(folder)


def sweep(place: Path) -> None:
    """Delete the folders of test processes that no longer live."""
    for mark in place.glob(f"{PREFIX}*/{IN_USE}"):
        with suppress(OSError), mark.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held.fileno()).st_uid == os.geteuid():
                delete(mark.parent)


def delete(folder: Path) -> None:
    for record in folder.rglob(lodging.LOCATION):
        lodging.remove(record.parent)
    shutil.rmtree(folder, ignore_errors=True)
