"""The data folder of one stack: who works in it, what it holds, and how it goes away."""

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from deploy.local import lodging

STOPS_WITHIN = 120.0
GLANCE = 0.5  # seconds; `holder` takes the lock for a moment, and a start must not be refused for that


class FolderRefused(Exception):
    """This data folder cannot be used."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What `twinlog up --json` prints in one line and keeps in `endpoints.json`."""

    command_url: str
    query_url: str
    relay_url: str
    projector_url: str
    data: str
    pid: int

    def as_line(self) -> str:
        return json.dumps(asdict(self))


class DataFolder:
    """A folder by its path; nothing is created before `hold`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgres = self.path / "postgres"
        self.valkey = self.path / "valkey"
        self.secrets = self.path / "secrets"
        self.logs = self.path / "logs"
        self._lock = self.path / "lock"
        self._endpoints = self.path / "endpoints.json"
        self._pids = self.path / "processes.json"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Work in the folder alone. Raises `FolderRefused` when it cannot be written or another stack is at work."""
        with self._writing():
            self._create()
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor)
            try:
                yield
            finally:
                self._endpoints.unlink(missing_ok=True)
                self._pids.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def holder(self) -> int:
        """The process id of the stack at work here, 0 when there is none."""
        with suppress(FileNotFoundError, PermissionError), self._lock.open("rb+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or b"0")
        return 0

    def write_endpoints(self, endpoints: Endpoints) -> None:
        write_whole(self._endpoints, endpoints.as_line() + "\n", mode=0o644)

    def write_pids(self, pids: Mapping[str, int]) -> None:
        """Keep the process ids by name, 0 for one that is between two lives."""
        content = json.dumps(dict(pids)) + "\n"
        with suppress(FileNotFoundError):
            if self._pids.read_text() == content:
                return
        write_whole(self._pids, content, mode=0o644)

    def pids(self) -> dict[str, int]:
        """The process ids by name as they were last written; empty when nothing runs here."""
        with suppress(FileNotFoundError):
            found: dict[str, int] = json.loads(self._pids.read_text())
            return found
        return {}

    def endpoints(self) -> Endpoints | None:
        """The addresses of the stack at work here; None when none is ready."""
        pid = self.holder()
        with suppress(FileNotFoundError):
            found = Endpoints(**json.loads(self._endpoints.read_text()))
            return found if found.pid == pid else None
        return None

    def open_log(self, name: str) -> BinaryIO:
        """The log of a part of the stack, opened to append to. Raises `FolderRefused`."""
        with self._writing():
            self._create()
            return (self.logs / f"{name}.log").open("ab")

    def log_since(self, name: str, start: int) -> str:
        """What has been written to a log after its first `start` bytes."""
        return (self.logs / f"{name}.log").read_bytes()[start:].decode(errors="replace")

    def stop_holder(self) -> bool:
        """End the stack at work here and wait for it; False when there was none."""
        pid = self.holder()
        if not pid:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOPS_WITHIN
        while self.holder() == pid:
            if time.monotonic() > deadline:
                raise FolderRefused(f"The stack in {self.path} (process {pid}) does not stop.")
            time.sleep(0.05)
        return True

    def delete(self) -> None:
        """Delete everything a stack keeps here, and nothing else that may be in the folder."""
        lodging.remove(self.postgres)
        lodging.remove(self.valkey)
        for folder in (self.secrets, self.logs):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self._endpoints, self._pids, self._lock):
            file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FolderRefused(f"The data folder {self.path} cannot be written: {error.strerror}.") from error

    def _create(self) -> None:
        if not self.path.exists():
            self.path.mkdir(parents=True)
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def _take(self, descriptor: int) -> None:
        deadline = time.monotonic() + GLANCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    at_work = os.pread(descriptor, 20, 0).decode() or "starting"
                    raise FolderRefused(f"Another stack works in {self.path} already (process {at_work}).") from None
                time.sleep(0.02)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def write_whole(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old or the new content, never a part, and others only what `mode` says."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    unfinished.rename(path)
