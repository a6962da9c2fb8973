"""The keys of access tokens from the command line: `twinlog keys list`, `twinlog keys rotate`."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from command_service.cli.services import Json
from command_service.infrastructure.key_ring import LEAD, KeyRing
from command_service.infrastructure.keys import read_ring, write_ring
from command_service.settings import load
from shared_kernel.errors import StartupRefused
from shared_kernel.terminal import say, sentences

keys = typer.Typer(no_args_is_help=True, help="The keys that access tokens are signed with.")


@keys.command("list")
def list_keys(*, as_json: Json = False) -> None:
    """Show the published keys and their turns; private parts are never shown.

    Example: twinlog keys list
    """
    with sentences(as_json=as_json):
        say_ring(read_ring(_key_file()), datetime.now(UTC), as_json=as_json)


@keys.command()
def rotate(
    *,
    lead: Annotated[
        int,
        typer.Option(
            "--lead",
            min=0,
            help="Seconds from publishing the new key until it signs. Under 31, some valid "
            "tokens may be refused for half a minute.",
        ),
    ] = int(LEAD.total_seconds()),
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised",
            help="Sign with a new key at once and forget all others: every access token "
            "that is out there ends, and clients refresh.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a new key for access tokens; running services take it up by themselves, no request fails.

    Example: twinlog keys rotate
    """
    with sentences(as_json=as_json), _alone(path := _key_file()):
        now = datetime.now(UTC)
        ring = KeyRing.replaced(now) if compromised else read_ring(path).rotated(now, timedelta(seconds=lead))
        write_ring(path, ring)
        say_ring(ring, now, as_json=as_json)


def say_ring(ring: KeyRing, now: datetime, *, as_json: bool) -> None:
    """One line for each key, the newest first."""
    places = [_described(place._asdict()) for place in ring.places(now)]
    lines = (f"{place['state']:8} {place['kid']}  signs from {place['signs_from']}" for place in places)
    say({"keys": places}, as_json=as_json, sentence="\n".join(lines))


def _described(place: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in place.items()}


def _key_file() -> Path:
    path = load().token_key_file
    if path is None:
        raise StartupRefused("TWINLOG_TOKEN_KEY_FILE is missing: the key for development cannot be rotated.")
    return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two operators at the same moment would lose one of two keys."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise StartupRefused(f"The folder {path.parent} cannot be read: {error.strerror}.") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
