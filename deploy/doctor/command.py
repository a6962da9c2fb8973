"""`twinlog doctor`: one line per check for people, one object for machines."""

import typer

from deploy.doctor.examination import examine
from deploy.doctor.finding import State, exit_code
from deploy.doctor.surroundings import find
from deploy.local.commands import Data, Json
from shared_kernel import terminal

COLOURS = {State.FINE: "green", State.FOUND: "red", State.UNREACHABLE: "red", State.SKIPPED: "yellow"}


def doctor(*, data: Data = None, as_json: Json = False) -> None:
    """Look at the processes, databases, Redis, rights, keys, lag and disk of a pair, and say what to do.

    Exit code 0: all fine; 1: something was found; 3: something does not answer.

    Example: twinlog doctor --data .twinlog
    """
    with terminal.sentences(as_json=as_json):
        checks = examine(find(data))
    code = exit_code(checks)
    terminal.say({"checks": [check.as_dict() for check in checks]}, as_json=as_json, ok=code == 0)
    if not as_json:
        for check in checks:
            typer.secho(check.as_line(), fg=COLOURS[check.state])
    raise typer.Exit(code)
