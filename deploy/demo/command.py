"""`twinlog demo`: the whole story, on a stack of its own or on one that is named."""

import asyncio
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console

from deploy.demo.operator import Operator, OperatorCommandFailed
from deploy.demo.play import play
from deploy.local import commands
from deploy.local.data_folder import DataFolder
from deploy.local.supervisor import DEFAULT_PORTS, running_stack

Url = Annotated[str | None, typer.Option(help="Play against this API instead of a stack of its own.")]


def demo(*, command_url: Url = None, query_url: Url = None, as_json: commands.Json = False) -> None:
    """Play the whole story over HTTP, verify it, and sum it up; exit code 0 only if everything held.

    Without addresses it runs on fresh engines and free ports, and leaves nothing behind.

    Example: twinlog demo
    """
    if (command_url is None) != (query_url is None):
        raise typer.BadParameter("give both --command-url and --query-url, or neither")
    console = Console(stderr=as_json, soft_wrap=True)
    with commands.sentences():
        if command_url is not None and query_url is not None:
            summary = _played(command_url, query_url, Operator(None), console)
        else:
            summary = _on_a_stack_of_its_own(console)
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    if not summary["ok"]:
        raise typer.Exit(1)


def _on_a_stack_of_its_own(console: Console) -> dict[str, Any]:
    with _interruptible(), tempfile.TemporaryDirectory(prefix="twinlog-demo-", ignore_cleanup_errors=True) as place:
        folder = DataFolder(Path(place) / "data")
        console.print("[bold]Starting PostgreSQL, Valkey and the four processes[/bold]")
        any_port = dict.fromkeys(DEFAULT_PORTS, 0)
        try:
            with running_stack(folder, commands.say, any_port) as (_, endpoints):
                console.print(f"  commands {endpoints.command_url}, questions {endpoints.query_url}", highlight=False)
                return _played(endpoints.command_url, endpoints.query_url, Operator(folder.path), console)
        except KeyboardInterrupt:
            commands.say("Stopped; nothing is left running.")
            raise typer.Exit(130) from None
        finally:
            folder.delete()


def _played(command_url: str, query_url: str, operator: Operator, console: Console) -> dict[str, Any]:
    try:
        return asyncio.run(play(command_url.rstrip("/"), query_url.rstrip("/"), operator, console))
    except (httpx2.HTTPError, OperatorCommandFailed) as error:
        commands.say(f"The story stopped: {str(error) or type(error).__name__}")
        raise typer.Exit(3) from None


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the story as Ctrl-C does, also in the background of a script, and leave nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    yield
