"""Keys and passwords: present, strong, the same on both sides, readable by their owner alone, and fit for the data."""

import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx2

from command_service.infrastructure.keys import read_ring
from command_service.settings import load as load_command
from deploy.doctor.connecting import SECONDS, Connection, rows
from deploy.doctor.finding import Check, fine, found, skipped, unreachable
from deploy.doctor.surroundings import Surroundings
from deploy.local import environment
from query_service.settings import load as load_query
from shared_kernel.errors import StartupRefused
from shared_kernel.privacy.cipher import Unreadable
from shared_kernel.privacy.kek import Kek
from shared_kernel.settings import SharedSettings

JWKS = "/.well-known/jwks.json"
BOTH = ("SHARED_SECRET", "KEK")
_NEWEST_KEY = """
SELECT tenant, subject, key_id, wrapped, kek_generation FROM subject_keys ORDER BY created_at DESC LIMIT 1
"""

S = TypeVar("S", bound=SharedSettings)


def settings(around: Surroundings) -> list[Check]:
    """Whether each service would start with its settings. Changes this process's variables while it looks."""
    loaders: tuple[tuple[str, Callable[[], SharedSettings]], ...] = (("command", load_command), ("query", load_query))
    return [_loads(service, load, around) for service, load in loaders]


def _loads(service: str, load: Callable[[], S], around: Surroundings) -> Check:
    name = f"settings.{service}"
    try:
        with environment.as_of(around.settings.of(service)):
            loaded = load()
    except StartupRefused as error:
        return found(name, error.detail, "correct what it names; the next start would be refused.")
    if loaded.env == "development":
        advice = "set TWINLOG_ENV=production and make secrets of your own."
        return found(name, "TWINLOG_ENV is development: missing secrets are the same on every machine.", advice)
    return fine(name, "Complete; secrets are present and strong.")


def agreement(around: Surroundings) -> Check:
    """Both services must hold the same shared secrets, or tokens and personal data of one are noise to the other."""
    command, query = around.settings.command, around.settings.query
    differing = [f"TWINLOG_{name}" for name in BOTH if command.get(name) != query.get(name)]
    if differing:
        says = f"{' and '.join(differing)} of the two services differ."
        return found("keys.agreement", says, "give both services the same, the one that the data were written with.")
    return fine("keys.agreement", "Both services hold the same shared secret and key-encryption key.")


def files(around: Surroundings) -> Check:
    """Whether anybody else on this machine could read a secret."""
    secrets = sorted(_secret_files(around))
    if not secrets:
        return skipped("keys.files", "No secret is kept in a file here.")
    open_to_others = [str(path) for path in secrets if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_to_others:
        says = f"{open_to_others[0]} can be read by others" + _more(open_to_others)
        advice = f"chmod go= {' '.join(open_to_others)}, and make that secret anew if others use this machine."
        return found("keys.files", says, advice, files=open_to_others)
    return fine("keys.files", f"{len(secrets)} files, readable by their owner alone.")


def _secret_files(around: Surroundings) -> Iterable[Path]:
    """Each once: those of the data folder, those in folders of settings, and the token key."""
    places = [variables.get("SECRETS_DIR") for variables in (around.settings.command, around.settings.query)]
    found = {path for place in places if place for path in Path(place).glob("twinlog_*")}
    if around.folder is not None:
        found.update(around.folder.secrets.rglob("*"))
    found.add(Path(around.settings.command.get("TOKEN_KEY_FILE", "")))
    return filter(Path.is_file, found)


def token(around: Surroundings) -> Check:
    """Whether tokens are signed with the key in the file: the public half of it is what the command API publishes."""
    path = around.settings.command.get("TOKEN_KEY_FILE")
    if path is None:
        return skipped("keys.token", "No TWINLOG_TOKEN_KEY_FILE is set.")
    try:
        kid = read_ring(Path(path)).current(datetime.now(UTC)).kid
    except StartupRefused as error:
        return found("keys.token", error.detail, "restore this file; without it nobody can sign in after a restart.")
    try:
        answer = httpx2.get(around.urls["command"] + JWKS, timeout=SECONDS)
        published = {key["kid"] for key in answer.json()["keys"]}
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        says = f"Usable; what the command API publishes cannot be asked ({type(error).__name__})."
        return unreachable("keys.token", says, "see to the command API first.")
    except (ValueError, KeyError, TypeError):
        says = f"Usable; the command API publishes no keys, it answers {answer.status_code}."
        return found("keys.token", says, "see whether TWINLOG_COMMAND_URL leads to the command API.")
    if kid not in published:
        says = "The command API signs with another key than the one in the file."
        return found("keys.token", says, "give the command API this file, or restore the file.")
    return fine("keys.token", "Usable, and the one that the command API publishes.")


def vault(around: Surroundings, connection: Connection) -> Check:
    """Whether the key-encryption key opens what the vault holds."""
    newest = rows(connection, _NEWEST_KEY)
    if not newest:
        return fine("keys.vault", "The vault holds no key yet.")
    (row,) = newest
    try:
        kek = Kek.parse(around.settings.query.get("KEK", ""))
        kek.unwrap(bytes(row["wrapped"]), row["kek_generation"], row["key_id"], row["tenant"], row["subject"])
    except (Unreadable, ValueError):
        advice = "restore the TWINLOG_KEK that the vault was written with; personal data are unreadable without it."
        return found("keys.vault", "TWINLOG_KEK does not open the newest key in the vault.", advice)
    return fine("keys.vault", "TWINLOG_KEK opens the newest key in the vault.")


def _more(items: list[str]) -> str:
    return f", and {len(items) - 1} more." if len(items) > 1 else "."
