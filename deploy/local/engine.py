"""What every embedded engine has in common: its folder, its lock, a free port, a guarded process."""

import fcntl
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from deploy.local import lodging
from deploy.local.child import Child, Identity, Program
from deploy.local.lodging import EngineUnavailable
from deploy.local.ports import LOOPBACK, free_port, is_free

ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
READY_WITHIN = 60.0
LOCKED_FOR_AT_MOST = 60.0
PORT_TAKEN = (b"Address already in use", b"could not create any TCP/IP sockets")


class Engine(ABC):
    """One server with its folder. `start` and `stop` may alternate as often as one likes; data stay."""

    name: str
    steps: Sequence[tuple[int, float]]
    death_signal: int

    def __init__(self, folder: Path, *, durable: bool = True, log: Path | None = None) -> None:
        self.folder = folder
        self.durable = durable
        self.log = log or folder / f"{self.name}.log"
        self.port = 0
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it does not run."""
        return self._child.pid if self._child and self._child.exit_code() is None else 0

    def start(self) -> str:
        """Start the server, wait until it answers, and return its URL (with the password of its first user).

        One that runs already is left alone; one that ran before takes its port again if that is still free. Whatever
        an earlier run left behind is recovered from. Raises `EngineUnavailable` with one sentence.
        """
        if self.pid:
            return self.url()
        self.stop()
        try:
            identity = lodging.identity_for(lodging.recorded_home(self.folder) / "data")
            home = lodging.home_of(self.folder, identity)
            lock = self._lock()
            try:
                self._prepare(home, identity)
                return self._start_on_some_port(home, identity, lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise EngineUnavailable(f"{self.name} cannot use the folder {self.folder}: {error.strerror}.") from error

    def stop(self) -> None:
        """Stop in good order: everything accepted is on disk, clients are disconnected."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End the server as a crash would, and wait until the last of its processes has gone."""
        if self._child is not None:
            self._child.kill()
            self._child = None
            os.close(self._lock())

    def log_tail(self, size: int = 2_000) -> bytes:
        """The newest part of the log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - size))
            return log.read()

    @abstractmethod
    def _prepare(self, home: Path, identity: Identity | None) -> None:
        """Bring the data folder into being."""

    @abstractmethod
    def _command(self, home: Path, identity: Identity | None) -> Sequence[str]:
        """The command line that serves on `self.port`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server just started takes connections."""

    @abstractmethod
    def url(self) -> str:
        """Where it answers, with its password."""

    def _secret(self) -> str:
        """The password of this server, made once and kept in a file of its owner alone."""
        path = self.folder / "password"
        if not path.exists():
            unfinished = self.folder / "password.unfinished"
            unfinished.unlink(missing_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(24))
            unfinished.rename(path)
        return path.read_text()

    def _lock(self) -> int:
        """A lock that the server's processes inherit: it is free when the last of them has gone, however it went."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + LOCKED_FOR_AT_MOST
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise EngineUnavailable(f"Another {self.name} still works in {self.folder}.") from None
                time.sleep(0.02)
            else:
                return descriptor

    def _start_on_some_port(self, home: Path, identity: Identity | None, lock: int) -> str:
        for _ in range(5):
            self.port = self.port if is_free(LOOPBACK, self.port) else free_port()
            program = Program(
                argv=self._command(home, identity),
                env=ENVIRONMENT,
                cwd=home,
                log=self.log,
                steps=self.steps,
                death_signal=self.death_signal,
                identity=identity,
                keep=[lock],
            )
            self._child = Child(program)
            if self._ready():
                return self.url()
            self.stop()
            if not any(sign in self.log_tail() for sign in PORT_TAKEN):
                break
        last = self.log_tail().decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineUnavailable(f"{self.name} did not start; the last line of {self.log} is: {last}")

    def _ready(self) -> bool:
        deadline = time.monotonic() + READY_WITHIN
        while self.pid and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.01)
        return False
