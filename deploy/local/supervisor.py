"""One whole stack on this machine: engines, schema, the four processes; kept alive, and stopped in order."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local import environment, ports, provision
from deploy.local.child import Program
from deploy.local.data_folder import DataFolder, Endpoints
from deploy.local.engine import Engine
from deploy.local.engines import EmbeddedPostgres, EmbeddedValkey, EngineUnavailable
from deploy.local.environment import Environments, Variables
from deploy.local.processes import Process, ProcessFailed, ProcessGroup
from deploy.migrate import migrate
from shared_kernel.errors import StartupRefused
from shared_kernel.messaging.client import redis_client
from shared_kernel.process import place_of, require_redis

DEFAULT_PORTS = {"command": 8001, "query": 8002, "relay": 8003, "projector": 8004}
MODULES = {
    "command": ("command", "command_service"),
    "relay": ("command", "command_service.relay"),
    "projector": ("query", "query_service.projector"),
    "query": ("query", "query_service"),
}
"""The processes in the order in which they start and stop: whose settings, which module."""

ATTEMPTS = 3
LOOK_EVERY = 0.2
ENGINE_PAUSE = 2.0
REDIS_SECONDS = 10.0

Announce = Callable[[str], None]


class Supervisor:
    """Starts and keeps one stack in a data folder that the caller holds."""

    def __init__(self, folder: DataFolder, announce: Announce, asked: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self._announce = announce
        self._given = environment.explicit()
        self._host = self._given.get("HOST", ports.LOOPBACK)
        self._wanted = {name: self._wanted_port(name, asked or {}) for name in DEFAULT_PORTS}
        self._engines: list[Engine] = []
        self._engine_due: dict[Engine, float] = {}
        self._group: ProcessGroup | None = None

    def start(self) -> Endpoints:
        """Bring everything up and return when every process is ready.

        Raises `EngineUnavailable`, `Unreachable`, `FolderRefused`, `StartupRefused`, `SchemaMismatch`, `ProcessFailed`
        and `psycopg.Error`.
        """
        self._require_host()
        provision.ensure_secrets(self._folder)
        urls = self._start_postgres()
        redis_url = self._start_valkey()
        migrate(environment.compose(self._folder, self._given, {}, urls, redis_url))
        for attempt in range(1, ATTEMPTS + 1):
            chosen = ports.choose(self._host, self._wanted, self._announce)
            variables = environment.compose(self._folder, self._given, self._places(chosen), urls, redis_url)
            environment.remember(self._folder, variables)
            try:
                return self._start_processes(variables, chosen)
            except ProcessFailed:
                if attempt == ATTEMPTS or all(ports.is_free(self._host, port) for port in chosen.values()):
                    raise  # not because somebody took a port between our look and its use
        raise AssertionError("the loop returns or raises")

    def watch(self) -> None:
        """Start again whatever dies, for ever; ends by an exception, such as the one a signal handler raises."""
        while True:
            with suppress(OSError):  # no room on the disk: the next look tries again
                self._folder.write_pids(self._pids())
            for engine in self._engines:
                self._revive(engine)
            if self._group is not None:
                self._group.revive()
            time.sleep(LOOK_EVERY)

    def _revive(self, engine: Engine) -> None:
        """Whatever hinders the start (a full disk, say) may be gone in a while."""
        if engine.pid or time.monotonic() < self._engine_due.get(engine, 0.0):
            return
        if engine not in self._engine_due:
            self._announce(f"{engine.name} ended; it starts again.")
        try:
            engine.start()
        except EngineUnavailable as error:
            if engine not in self._engine_due:
                self._announce(f"{error} It is tried again every {ENGINE_PAUSE:g} s.")
            self._engine_due[engine] = time.monotonic() + ENGINE_PAUSE
        else:
            self._engine_due.pop(engine, None)

    def _pids(self) -> dict[str, int]:
        engines = {engine.log.stem: engine.pid for engine in self._engines}
        return engines | dict(self._group.pids() if self._group else {})

    def stop(self) -> None:
        """Processes first, then what they stand on."""
        if self._group is not None:
            self._group.stop()
        for engine in reversed(self._engines):
            engine.stop()

    def _wanted_port(self, name: str, asked: Mapping[str, int]) -> int:
        given = self._given.get(f"{name.upper()}_PORT")
        if name in asked or given is None:
            return asked.get(name, DEFAULT_PORTS[name])
        if not given.isdecimal() or int(given) > ports.LAST_PORT:
            raise StartupRefused(f"TWINLOG_{name.upper()}_PORT must be a number up to {ports.LAST_PORT}, not {given}.")
        return int(given)

    def _require_host(self) -> None:
        try:
            ports.free_port(self._host)
        except OSError as error:
            raise StartupRefused(f"Nothing can listen on {self._host}: {error.strerror}.") from error

    def _start_postgres(self) -> provision.DatabaseUrls | None:
        if not environment.needs_postgres(self._given):
            return None
        engine = EmbeddedPostgres(self._folder.postgres, log=self._folder.logs / "postgres.log")
        self._engines.append(engine)
        return provision.ensure_databases(engine.start(), self._folder)

    def _start_valkey(self) -> str | None:
        if "REDIS_URL" in self._given:
            asyncio.run(_require_redis_at(self._given["REDIS_URL"]))
            return None
        engine = EmbeddedValkey(self._folder.valkey, log=self._folder.logs / "valkey.log")
        self._engines.append(engine)
        return engine.start()

    def _places(self, chosen: Mapping[str, int]) -> Variables:
        places = {f"{name.upper()}_PORT": str(port) for name, port in chosen.items()}
        return places | {"HOST": self._host, "COMMAND_URL": self._url(chosen["command"])}

    def _url(self, port: int) -> str:
        host = ports.LOOPBACK if self._host in ports.WILDCARDS else self._host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _start_processes(self, variables: Environments, chosen: Mapping[str, int]) -> Endpoints:
        processes = [
            Process(
                name=name,
                program=Program(
                    argv=[sys.executable, "-m", module],
                    env=variables.for_process(service, asks=name == "query"),
                    cwd=Path.cwd(),
                    log=self._folder.logs / f"{name}.log",
                ),
                ready_url=f"{self._url(chosen[name])}/readyz",
            )
            for name, (service, module) in MODULES.items()
        ]
        self._group = ProcessGroup(processes, self._announce)
        self._group.start()
        urls = {f"{name}_url": self._url(port) for name, port in chosen.items()}
        endpoints = Endpoints(**urls, data=str(self._folder.path), pid=os.getpid())
        self._folder.write_pids(self._pids())
        self._folder.write_endpoints(endpoints)
        return endpoints


@contextmanager
def running_stack(
    folder: DataFolder, announce: Announce, asked: Mapping[str, int] | None = None
) -> Iterator[tuple[Supervisor, Endpoints]]:
    """A stack that is ready, and that is gone at the end."""
    with folder.hold():
        supervisor = Supervisor(folder, announce, asked)
        try:
            yield supervisor, supervisor.start()
        finally:
            supervisor.stop()


async def _require_redis_at(url: str) -> None:
    """Raises `Unreachable` when no Redis answers there, `StartupRefused` when that is no URL of one."""
    try:
        client = redis_client(url, REDIS_SECONDS)
    except ValueError:  # which may quote a part of the password
        raise StartupRefused(f"TWINLOG_REDIS_URL names no Redis that one could reach: {place_of(url)}.") from None
    async with client:
        await require_redis(client, url)
