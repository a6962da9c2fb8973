"""Secrets for a set of containers: made once, each in the volume of those who need it and of nobody else."""

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.databases import COMMAND, QUERY, ROLES, VAULT, Plan, url_for
from shared_kernel.auth.tokens import SigningKey

OWN = 0o400
"""For files of our own processes: they run as the user who made the file."""

SHARED = 0o444
"""For files that PostgreSQL and Redis read as users of their own, from a volume that only they have."""

POSTGRES = "postgresql://postgres@postgres:5432"
SUPERUSER = "superuser"


def make_secrets(base: Path, server: str = POSTGRES) -> list[str]:
    """Make what is missing under `base`, one folder per reader, and name it; nothing that exists is ever changed."""
    kept = base / "migrate"
    password = {role: _once(kept / f"password.{role}", _token) for role in (*ROLES, "redis", SUPERUSER)}
    both = {
        "twinlog_shared_secret": _once(kept / "shared_secret", _token),
        "twinlog_kek": _once(kept / "kek", _key),
        "twinlog_redis_url": f"redis://:{password['redis']}@redis:6379/0",
    }
    owners = {
        f"twinlog_{plan.name.removeprefix('twinlog_')}_owner_url": _url(server, plan, plan.owner, password)
        for plan in (COMMAND, QUERY, VAULT)
    }
    writer, vault_reader = VAULT.users
    projector, reader = QUERY.users
    command = both | {
        "twinlog_command_secret": _once(kept / "command_secret", _token),
        "token_key.pem": _once(kept / "token_key", lambda: SigningKey.generate_pem().decode()),
        "twinlog_command_database_url": _url(server, COMMAND, COMMAND.users[0], password),
        "twinlog_vault_database_url": _url(server, VAULT, writer, password),
    }
    asking = both | {
        "twinlog_query_database_url": _url(server, QUERY, reader, password),
        "twinlog_vault_database_url": _url(server, VAULT, vault_reader, password),
    }
    query = asking | {
        "twinlog_query_database_url": _url(server, QUERY, projector, password),
        "twinlog_query_reader_url": _url(server, QUERY, reader, password),
    }
    made = _lay_out(base / "migrate", owners, OWN)
    made += _lay_out(base / "command", command, OWN) + _lay_out(base / "query", query, OWN)
    made += _lay_out(base / "reader", asking, OWN)
    made += _lay_out(base / "postgres", {"password": password[SUPERUSER]}, SHARED)
    return made + _lay_out(base / "redis", {"password": password["redis"], "redis.conf": _redis(password)}, SHARED)


def _redis(password: Mapping[str, str]) -> str:
    lines = (
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        'save ""',
        "dir /data",
        f"requirepass {password['redis']}",
    )
    return "\n".join(lines) + "\n"


def _url(server: str, plan: Plan, role: str, password: Mapping[str, str]) -> str:
    return url_for(server, plan.name, role, password[role])


def _lay_out(folder: Path, files: Mapping[str, str], mode: int) -> list[str]:
    return [f"{folder.name}/{name}" for name, content in files.items() if _write(folder / name, content, mode)]


def _once(path: Path, make: Callable[[], str]) -> str:
    _write(path, make(), OWN)
    return path.read_text()


def _write(path: Path, content: str, mode: int) -> bool:
    """Whole or not at all: what is interrupted leaves no half of a secret behind."""
    if path.exists():
        return False
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    unfinished.write_text(content)
    unfinished.chmod(mode)
    unfinished.rename(path)
    return True


def _token() -> str:
    return secrets.token_urlsafe(48)


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
