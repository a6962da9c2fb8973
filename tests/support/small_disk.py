"""A stack on a small disk of its own, which a test fills to the last byte and empties again.

The disk is a file system in memory that only the stack's processes see: it is gone with the last of them.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.places import open_folder
from tests.support.processes import ROOT, environment
from tests.support.stack import ANY_PORTS, STOPS_WITHIN, Stack, await_ready

SIZE = "320m"
APART = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"])]
MOUNT_AND_RUN = 'mount -t tmpfs -o "size=$0,mode=$1" tmpfs "$2" && shift 2 && exec "$@"'
CHUNK = bytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk, seen from outside through the process that made it."""

    process: int
    place: Path

    @property
    def filler(self) -> Path:
        return self.place / "filler"

    @contextmanager
    def full(self) -> Iterator[None]:
        """For a while, no room for a single byte."""
        self._fill()
        try:
            yield
        finally:
            self.filler.unlink()

    def _fill(self) -> None:
        with self.filler.open("ab", buffering=0) as file:
            for size in (len(CHUNK), 4096, 1):
                try:
                    while file.write(CHUNK[:size]):
                        pass
                except OSError:  # no space left on device
                    continue

    def twinlog(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a `twinlog` command where this disk can be seen."""
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        inside = ["nsenter", "--target", str(self.process), "--mount", *user, "--wd=/"]
        return subprocess.run(
            [*inside, sys.executable, "-m", "deploy.cli", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@contextmanager
def stack_on_small_disk() -> Iterator[tuple[Stack, Disk]]:
    """A running stack whose data folder is the disk; the test is skipped where nobody may mount one."""
    if shutil.which("unshare") is None or subprocess.run([*APART, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here without the rights of root")
    with open_folder() as place:
        words = [sys.executable, "-m", "deploy.cli", "up", "--data", str(place / "disk" / "data"), "--json", *ANY_PORTS]
        (place / "disk").mkdir()
        mode = "711" if os.geteuid() == 0 else "700"
        with subprocess.Popen(
            [*APART, "sh", "-c", MOUNT_AND_RUN, SIZE, mode, str(place / "disk"), *words],
            env=environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            seen = Path(f"/proc/{process.pid}/root")
            try:
                stack = await_ready(process)
                outside = replace(stack, data=seen / stack.data.relative_to("/"))
                yield outside, Disk(process.pid, outside.data.parent)
            finally:
                process.terminate()
                complaint = process.communicate(timeout=STOPS_WITHIN)[1]
        if process.returncode != 0:
            raise AssertionError(f"twinlog up ended with {process.returncode}: {complaint}")
