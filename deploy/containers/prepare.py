"""Roles, databases, schema and the first tenant, before the services of a set of containers start."""

from pathlib import Path
from urllib.parse import quote

import psycopg

from deploy.containers.secrets import POSTGRES, SUPERUSER
from deploy.local.databases import PLANS, ROLES, ensure_database, ensure_roles
from deploy.local.environment import Environments, of_files
from deploy.migrate import migrate
from shared_kernel.process import Unreachable


def prepare(base: Path, server: str = POSTGRES) -> list[str]:
    """The names of the databases that now have this release's schema; repeatable. `server` lacks a password.

    Raises Unreachable, SchemaMismatch or psycopg.Error.
    """
    kept = base / "migrate"
    password = quote((kept / f"password.{SUPERUSER}").read_text(), safe="")
    try:
        admin = psycopg.connect(server.replace("@", f":{password}@", 1), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL cannot be reached: {str(error).strip().splitlines()[0]}") from None
    with admin:
        ensure_roles(admin, {role: (kept / f"password.{role}").read_text() for role in ROLES})
        for plan in PLANS:
            ensure_database(admin, plan)
    return migrate(Environments(of_files(base / "command"), of_files(base / "query"), of_files(kept)))
