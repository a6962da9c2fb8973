"""Roles, databases, schema and the first tenant, before the services of a set of containers start."""

from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.containers.secrets import POSTGRES, SUPERUSER
from deploy.local.databases import PLANS, ROLES, ensure_database, ensure_roles
from deploy.local.environment import Environments, Variables
from deploy.migrate import migrate
from shared_kernel.process import Unreachable


def prepare(base: Path) -> list[str]:
    """The names of the databases that now have this release's schema; repeatable.

    Raises Unreachable, SchemaMismatch or psycopg.Error.
    """
    kept = base / "migrate"
    password = quote((kept / f"password.{SUPERUSER}").read_text(), safe="")
    try:
        server = psycopg.connect(POSTGRES.replace("@", f":{password}@", 1), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL cannot be reached: {str(error).strip().splitlines()[0]}") from None
    with server as admin:
        ensure_roles(admin, {role: (kept / f"password.{role}").read_text() for role in ROLES})
        for plan in PLANS:
            ensure_database(admin, plan)
    return migrate(Environments(_settings(base / "command"), _settings(base / "query"), _settings(kept)))


def _settings(folder: Path) -> Variables:
    """The settings that a folder of secret files holds, named without their prefix."""
    prefix = "twinlog_"
    return {
        file.name.removeprefix(prefix).upper(): file.read_text()
        for file in folder.iterdir()
        if file.name.startswith(prefix)
    }
