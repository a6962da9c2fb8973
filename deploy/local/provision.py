"""What a stack needs before its first process starts: secrets in files, roles, databases."""

import base64
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from deploy.local.data_folder import DataFolder, FolderRefused, write_whole
from deploy.local.databases import COMMAND, PLANS, QUERY, ROLES, VAULT, ensure_database, ensure_roles, url_for
from shared_kernel.auth.tokens import SigningKey

TOKEN_KEY = "token_key.pem"  # noqa: S105 - a file name
PASSWORDS = "roles.json"


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """Every way into the three databases."""

    command_owner: str
    command: str
    query_owner: str
    query: str
    query_reader: str
    vault_owner: str
    vault_writer: str
    vault_reader: str


def ensure_secrets(folder: DataFolder) -> None:
    """Make keys and passwords for a new stack: one folder per service, files of their owner alone.

    They are made together or not at all; later releases add passwords of their roles. Raises `FolderRefused` when data
    exist but their secrets do not: new ones could not open what the old ones closed.
    """
    if folder.secrets.exists():
        _add_passwords(folder)
        return
    if (folder.postgres / "password").exists():
        raise FolderRefused(f"The secrets in {folder.secrets} are gone, and the data in {folder.path} need them.")
    unfinished = folder.path / "secrets.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    both = {
        "twinlog_shared_secret": secrets.token_urlsafe(48),
        "twinlog_kek": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    _write_all(unfinished / "query", both)
    command = {"twinlog_command_secret": secrets.token_urlsafe(48), TOKEN_KEY: SigningKey.generate_pem().decode()}
    _write_all(unfinished / "command", both | command)
    _write_all(unfinished, {PASSWORDS: json.dumps({role: secrets.token_urlsafe(24) for role in ROLES})})
    unfinished.rename(folder.secrets)


def _add_passwords(folder: DataFolder) -> None:
    file = folder.secrets / PASSWORDS
    known: dict[str, str] = json.loads(file.read_text())
    if not known.keys() >= set(ROLES):
        write_whole(file, json.dumps({role: secrets.token_urlsafe(24) for role in ROLES} | known))


def _write_all(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, content in files.items():
        write_whole(folder / name, content)


def ensure_databases(server_url: str, folder: DataFolder) -> DatabaseUrls:
    """Create the roles and databases that are missing on the embedded server."""
    passwords: dict[str, str] = json.loads((folder.secrets / PASSWORDS).read_text())
    with psycopg.connect(server_url, autocommit=True) as admin:
        ensure_roles(admin, passwords)
        for plan in PLANS:
            ensure_database(admin, plan)

    def url(database: str, role: str) -> str:
        return url_for(server_url, database, role, passwords[role])

    writer, reader = VAULT.users
    query, query_reader = QUERY.users
    return DatabaseUrls(
        command_owner=url(COMMAND.name, COMMAND.owner),
        command=url(COMMAND.name, COMMAND.users[0]),
        query_owner=url(QUERY.name, QUERY.owner),
        query=url(QUERY.name, query),
        query_reader=url(QUERY.name, query_reader),
        vault_owner=url(VAULT.name, VAULT.owner),
        vault_writer=url(VAULT.name, writer),
        vault_reader=url(VAULT.name, reader),
    )
