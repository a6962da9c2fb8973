"""How every `twinlog` command speaks: a result on standard output, or one sentence and an exit code; never a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import orjson
import psycopg
import typer

from shared_kernel.errors import SchemaMismatch, StartupRefused, TwinlogError
from shared_kernel.observability import configure_logging
from shared_kernel.process import EXIT_REFUSED, EXIT_UNREACHABLE, Unreachable

EXIT_FOUND = 1
"""The command did its work and found something, or a rule refuses what was asked."""


@contextmanager
def sentences(*, as_json: bool) -> Iterator[None]:
    """Turn what can go wrong into one sentence (or one JSON object with `ok: false`) and an exit code."""
    configure_logging("twinlog", "warning")
    try:
        yield
    except Unreachable as error:
        end(error.code(), error.detail, EXIT_UNREACHABLE, as_json=as_json)
    except (StartupRefused, SchemaMismatch) as error:
        end(error.code(), error.detail, EXIT_REFUSED, as_json=as_json)
    except TwinlogError as error:
        end(error.code(), error.detail, EXIT_UNREACHABLE if error.status == 503 else EXIT_FOUND, as_json=as_json)
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0] if str(error) else type(error).__name__
        end("unreachable", f"A database does not answer: {reason}", EXIT_UNREACHABLE, as_json=as_json)


def say(facts: dict[str, Any], *, as_json: bool, sentence: str = "", ok: bool = True) -> None:
    """The result: for machines one object, for people a sentence (if any)."""
    if as_json:
        typer.echo(orjson.dumps({"ok": ok, **facts}).decode())
    elif sentence:
        typer.echo(sentence)


def end(code: str, sentence: str, exit_code: int, *, as_json: bool) -> NoReturn:
    """Say what is wrong and leave with this exit code."""
    if as_json:
        typer.echo(orjson.dumps({"ok": False, "code": code, "detail": sentence}).decode())
    else:
        typer.echo(sentence, err=True)
    raise typer.Exit(exit_code)
