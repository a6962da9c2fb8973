"""The `twinlog` command: the stack on this machine, and what both services offer operators."""

import copy
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from command_service.cli import app as command_app
from deploy.demo.command import demo
from deploy.doctor.command import doctor
from deploy.epoch import epoch
from deploy.local import commands
from query_service.cli import app as query_app

SERVICES = (("command", command_app), ("query", query_app))


def application() -> typer.Typer:
    """Every command under one root; a new one is a line here."""
    root = typer.Typer(
        name="twinlog",
        no_args_is_help=True,
        help="Run the pair on this machine, and look after it.",
        pretty_exceptions_show_locals=False,
    )
    for command in (commands.up, commands.down, demo, doctor, commands.migrate):
        root.command()(command)
    root.add_typer(epoch, name="epoch")
    for service, app in SERVICES:
        root.add_typer(reaching(app, service))
    return root


def reaching(app: typer.Typer, service: str) -> typer.Typer:
    """A copy of a service's commands that find the running stack by `--data`, unless variables say otherwise."""
    found = copy.copy(app)
    found.registered_commands = [copy.copy(command) for command in app.registered_commands]
    for command in found.registered_commands:
        if command.callback is not None:
            command.callback = _with_data(command.callback, service)
    found.registered_groups = [copy.copy(group) for group in app.registered_groups]
    for group in found.registered_groups:
        if group.typer_instance is not None:
            group.typer_instance = reaching(group.typer_instance, service)
    return found


def _with_data(run: Callable[..., Any], service: str) -> Callable[..., Any]:
    """The same command with one more option, `--data`."""

    @functools.wraps(run)
    def command(*, data: Path | None, **arguments: Any) -> Any:
        with commands.sentences(as_json=bool(arguments.get("as_json"))):
            commands.reach(data, service)
        return run(**arguments)

    signature = inspect.signature(run, eval_str=True)
    option = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=commands.Data)
    parameters = [*signature.parameters.values(), option]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by typer
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def main() -> None:
    """The console script."""
    application()(prog_name="twinlog")


if __name__ == "__main__":
    main()
