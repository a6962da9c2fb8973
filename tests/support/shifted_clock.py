"""A stack on a machine whose clock the test sets: libfaketime in every process, PostgreSQL and Valkey included."""

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.places import open_folder
from tests.support.processes import start_python
from tests.support.stack import ANY_PORTS, STOPS_WITHIN, Stack, await_ready

UP = """
import json, sys
from deploy.local.engine import ENVIRONMENT
ENVIRONMENT.update(json.loads(sys.argv.pop(1)))  # else engines inherit nothing
from deploy.cli import main
main()
"""


@dataclass(slots=True)
class MachineClock:
    """What processes are told the time by; the test itself lives by the real one, and intervals are always real.

    `latest` is the hour of the latest time so far: from then on the log's times rise again.
    """

    library: Path
    offset: Path
    latest: float = 0.0

    @property
    def variables(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def jump(self, hours: float) -> None:
        """From now on it is so many hours later (or earlier) than it really is."""
        self.latest = max(self.latest, hours)
        whole = self.offset.with_suffix(".new")
        whole.write_text(f"{hours * 3600:+.0f}s\n")
        whole.chmod(0o644)
        whole.replace(self.offset)


def library() -> Path:
    """libfaketime itself; the test is skipped where there is none (its wheel is for Linux on x86_64)."""
    found = importlib.util.find_spec("libfaketime")
    if found is None or found.origin is None or sys.platform != "linux":
        pytest.skip("libfaketime is made for Linux on x86_64")
    return Path(found.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


@contextmanager
def stack_with_clock() -> Iterator[tuple[Stack, MachineClock]]:
    """A running stack of its own, and its machine's clock."""
    source = library()
    with open_folder() as place:
        clock = MachineClock(place / "libfaketime.so.1", place / "offset")
        shutil.copyfile(source, clock.library)  # a user who cannot enter this clone may run PostgreSQL
        clock.library.chmod(0o755)
        clock.jump(0)
        words = ["up", "--data", str(place / "data"), "--json", *ANY_PORTS]
        with start_python(["-c", UP, json.dumps(clock.variables), *words], variables=clock.variables) as process:
            try:
                yield await_ready(process), clock
            finally:
                process.terminate()
                complaint = process.communicate(timeout=STOPS_WITHIN)[1]
            if process.returncode != 0:
                raise AssertionError(f"twinlog up ended with {process.returncode}: {complaint}")
