"""Further processes beside those of a running stack, with the settings of its own: another worker, another relay."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local import environment, ports
from deploy.local.child import Program
from deploy.local.data_folder import DataFolder
from deploy.local.processes import Process, ProcessGroup
from tests.support.processes import ROOT
from tests.support.stack import Stack

SECOND: Mapping[str, tuple[str, str, str]] = {
    "command-b": ("command", "command_service", "COMMAND_PORT"),
    "query-b": ("query", "query_service", "QUERY_PORT"),
    "relay-b": ("command", "command_service.relay", "RELAY_PORT"),
    "projector-b": ("query", "query_service.projector", "PROJECTOR_PORT"),
}
"""By name: whose settings, which module, which setting is their port."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Where each worker of each API answers."""

    commands: tuple[str, ...]
    queries: tuple[str, ...]


def _variables_of(stack: Stack) -> environment.Environments:
    variables = environment.of_running(DataFolder(stack.data))
    if variables is None:
        raise AssertionError("the stack is not running")
    return variables


def redis_url_of(stack: Stack) -> str:
    return _variables_of(stack).query["REDIS_URL"]


def beside(stack: Stack, name: str) -> Process:
    """A process of SECOND on a free port, not yet started."""
    service, module, port_name = SECOND[name]
    port = ports.free_port(ports.LOOPBACK)
    own = {f"{environment.PREFIX}{port_name}": str(port)}
    program = Program(
        argv=[sys.executable, "-m", module],
        env=_variables_of(stack).for_process(service, asks=name == "query-b") | own,
        cwd=ROOT,
        log=DataFolder(stack.data).logs / f"{name}.log",
    )
    return Process(name, program, f"http://{ports.LOOPBACK}:{port}/readyz")


@asynccontextmanager
async def two_of_each(stack: Stack) -> AsyncIterator[Workers]:
    """Run a second command API and a second query API; at the end they are stopped in order."""
    processes = [beside(stack, name) for name in ("command-b", "query-b")]
    group = ProcessGroup(processes, lambda _: None)
    await asyncio.to_thread(group.start)
    try:
        command, query = (process.ready_url.removesuffix("/readyz") for process in processes)
        yield Workers((stack.command_url, command), (stack.query_url, query))
    finally:
        await asyncio.to_thread(group.stop)
