"""What a person types to run the pair on one machine: `twinlog up`, `twinlog down`, `twinlog migrate`."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console
from rich.table import Table

from deploy.local import environment
from deploy.local.data_folder import DataFolder, Endpoints, FolderRefused
from deploy.local.environment import Environments
from deploy.local.lodging import EngineUnavailable
from deploy.local.processes import ProcessFailed
from deploy.local.supervisor import running_stack
from deploy.migrate import migrate as migrate_databases
from shared_kernel import terminal
from shared_kernel.errors import StartupRefused
from shared_kernel.process import EXIT_REFUSED, Unreachable

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the stack; TWINLOG_DATA or .twinlog when left out.")
]
Json = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="0 for any; the next free one if taken.")]


def folder_of(data: Path | None) -> DataFolder:
    return DataFolder(data or environment.default_data())


def reach(data: Path | None, service: str) -> None:
    """Let this process speak to the running stack as `service` would; explicit variables win.

    Raises `Unreachable` when no stack runs there and the variables do not name a database either.
    """
    contained = environment.of_secrets(service)
    running = environment.of_running(folder_of(data))
    if contained is not None:
        environment.adopt(contained)
    elif running is not None:
        environment.adopt(running.of(service))
    elif data is not None or f"{service.upper()}_DATABASE_URL" not in environment.explicit():
        raise Unreachable(f"No stack is running in {folder_of(data).path}; start one with `twinlog up`.")


def say(sentence: str) -> None:
    """Speak to the person; standard output stays for results. Nobody hears what the log on a full disk cannot take."""
    with suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


@contextmanager
def sentences(*, as_json: bool = False) -> Iterator[None]:
    """Turn what can go wrong into one sentence and an exit code: 2 for what is refused, 3 for what is out of reach."""
    with terminal.sentences(as_json=as_json):
        try:
            yield
        except FolderRefused as error:
            raise StartupRefused(str(error)) from error
        except EngineUnavailable as error:
            raise Unreachable(str(error)) from error
        except ProcessFailed as error:
            raise (StartupRefused if error.exit_code == EXIT_REFUSED else Unreachable)(str(error)) from error
        except psycopg.Error as error:
            raise Unreachable(f"A database refused: {str(error).strip().splitlines()[0]}") from error


def up(
    *,
    data: Data = None,
    command_port: Port = None,
    query_port: Port = None,
    relay_port: Port = None,
    projector_port: Port = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when ready, and keep running.")] = False,
    as_json: Json = False,
) -> None:
    """Start engines and all four services, wait until they are ready, and keep them running until Ctrl-C.

    Example: twinlog up --data .twinlog
    """
    folder = folder_of(data)
    asked = {"command": command_port, "query": query_port, "relay": relay_port, "projector": projector_port}
    wanted = {name: port for name, port in asked.items() if port is not None}
    with sentences():
        if detach:
            _show(_in_background(folder, wanted), as_json)
        else:
            _in_foreground(folder, wanted, as_json)


def _in_foreground(folder: DataFolder, wanted: dict[str, int], as_json: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C
    try:
        with running_stack(folder, say, wanted) as (supervisor, endpoints):
            try:
                _show(endpoints, as_json)
                supervisor.watch()
            finally:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)  # we are stopping already
    except KeyboardInterrupt:
        say("Stopped.")


def _in_background(folder: DataFolder, wanted: dict[str, int]) -> Endpoints:
    """Run `up` as a process of its own and pass on what it says until it is ready."""
    with folder.open_log("supervisor") as log:
        before = log.tell()
        ports = [word for name, port in wanted.items() for word in (f"--{name}-port", str(port))]
        child = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "up", "--data", str(folder.path), *ports, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            text=True,
        )
        if child.stdout is None:  # pragma: no cover - asked for with PIPE above
            raise AssertionError
        with child.stdout as answer:
            line = answer.readline()
        sys.stderr.write(folder.log_since("supervisor", before))
    if not line:
        raise typer.Exit(child.wait())
    return Endpoints(**json.loads(line))


def _show(endpoints: Endpoints, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(f"{endpoints.as_line()}\n")
        sys.stdout.flush()
        return
    table = Table(show_header=False, box=None)
    table.add_row("commands", endpoints.command_url, f"{endpoints.command_url}/docs")
    table.add_row("questions", endpoints.query_url, f"{endpoints.query_url}/docs")
    table.add_row("relay", endpoints.relay_url, "health and metrics")
    table.add_row("projector", endpoints.projector_url, "health and metrics")
    table.add_row("data", endpoints.data, f"process {endpoints.pid}")
    Console(soft_wrap=True).print(table)


def down(
    *,
    data: Data = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the stack's data too.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the stack that runs with a data folder.

    Example: twinlog down --data .twinlog
    """
    folder = folder_of(data)
    with sentences(as_json=as_json):
        stopped = folder.stop_holder()
        if delete:
            folder.delete()
    sentence = (
        f"{'Stopped' if stopped else 'Nothing was running'} in {folder.path}{'; data deleted' if delete else ''}."
    )
    terminal.say({"stopped": stopped, "deleted": delete}, as_json=as_json, sentence=sentence)


def migrate(data: Data = None, as_json: Json = False) -> None:
    """Bring the databases to this release's schema: those of the running stack, or those named by variables.

    Example: TWINLOG_COMMAND_OWNER_URL=postgresql://... twinlog migrate
    """
    folder, given = folder_of(data), environment.explicit()
    running = environment.of_running(folder) or Environments({}, {}, {})
    variables = Environments(running.command | given, running.query | given, running.owner | given)
    with sentences(as_json=as_json):
        done = migrate_databases(variables)
        if not done:
            raise Unreachable(
                f"No stack is running in {folder.path}, and none of {', '.join(environment.OWNER_URLS)} is set "
                "(with the prefix TWINLOG_)."
            )
    terminal.say({"migrated": done}, as_json=as_json, sentence=f"At this release's schema: {', '.join(done)}.")
