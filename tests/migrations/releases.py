"""Three releases of a small read side, whose processes write and read all the time while the schema changes."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from shared_kernel import migrations
from tests.support.processes import ROOT

RENAMING = ROOT / "tests" / "migrations" / "renaming"
COLUMN = {1: "name", 2: "title", 3: "title"}
"""What each release calls the column."""


def release(number: int, place: Path) -> Path:
    """The script folder as that release ships it: its own revision and all before."""
    folder = place / f"release-{number}"
    shutil.copytree(RENAMING, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for script in (folder / "versions").iterdir():
        if int(script.name[:4]) > number:
            script.unlink()
    return folder


@dataclass(slots=True)
class Process:
    """Code of one release at work: it adds rows, changes them, and reads each back as it wrote it."""

    number: int
    url: str
    folder: Path
    written: dict[int, str] = field(default_factory=dict)
    fault: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Start as a service does, then work until told to stop. What goes wrong is kept."""
        try:
            with psycopg.connect(self.url, autocommit=True) as connection:
                migrations.check_blocking(connection, self.folder)
                while not self.stop.is_set():
                    self._one_round(connection)
        except BaseException as error:  # noqa: BLE001 - whatever ends it is for the test to see
            self.fault = error

    def _one_round(self, connection: psycopg.Connection) -> None:
        column = COLUMN[self.number]
        key = self.number * 1_000_000 + len(self.written)
        for value in (f"{self.number}-{key}", f"{self.number}-{key}-changed"):
            self.written[key] = value
            connection.execute(
                f"INSERT INTO shelves (id, {column}) VALUES (%s, %s)"  # noqa: S608 - of two constants
                f" ON CONFLICT ON CONSTRAINT shelves_pk DO UPDATE SET {column} = EXCLUDED.{column}".encode(),
                (key, value),
            )
            question = f"SELECT {column} FROM shelves WHERE id = %s".encode()  # noqa: S608 - of two constants
            row = connection.execute(question, (key,)).fetchone()
            assert row == (value,), f"release {self.number} wrote {value} and read {row}"


@contextmanager
def running(process: Process, at_least: int = 50) -> Iterator[Process]:
    """A process at work: it has done something before the block, and goes on doing so until its end."""
    thread = threading.Thread(target=process.run, daemon=True)
    thread.start()
    try:
        _await_rounds(process, thread, at_least)
        yield process
        _await_rounds(process, thread, len(process.written) + at_least)
    finally:
        process.stop.set()
        thread.join(20)
    assert process.fault is None, f"release {process.number}: {process.fault}"


def _await_rounds(process: Process, thread: threading.Thread, wanted: int) -> None:
    for _ in range(2_000):
        thread.join(0.01)
        if len(process.written) >= wanted or not thread.is_alive():
            return
    raise AssertionError(f"release {process.number} stands still")
