"""Streams from the command line: `twinlog streams archive`."""

import asyncio
from typing import Annotated

import typer

from command_service.cli.services import Json, with_services
from command_service.infrastructure.call import DEFAULT_TENANT, Call
from command_service.settings import load
from shared_kernel.terminal import say, sentences

streams = typer.Typer(no_args_is_help=True, help="Streams: what happened to one object.")


@streams.callback()
def group() -> None:
    """A group although it has one command."""


@streams.command()
def archive(
    stream: Annotated[str, typer.Argument(help="The stream of an object that has come to its end.")],
    *,
    tenant: Annotated[str, typer.Option("--tenant", help="Whose stream it is.")] = DEFAULT_TENANT,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the log. No personal data.")] = "",
    as_json: Json = False,
) -> None:
    """Archive a stream for good: it stays in the log and can be read, and nothing is added to it any more.

    Example: twinlog streams archive sessions-0192f3a1-7c54-7d3e-9b1a-2f1f0c9d4e55 --reason "ended in 2025"
    """
    with sentences(as_json=as_json):
        call = Call.of_system(tenant, "cli")
        done = asyncio.run(with_services(load(), lambda services: services.archive.archive(stream, reason, call)))
        facts = {"tenant": tenant, "stream": stream, "version": done.body["version"], "position": done.body["position"]}
        sentence = f"{stream} is archived; its last event is at position {facts['position']}."
        say(facts, as_json=as_json, sentence=sentence)
