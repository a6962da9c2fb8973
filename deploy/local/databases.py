"""The roles and databases of one PostgreSQL server: an owner for migrations and a run-time role with less for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

ENCODING = "UTF8"


@dataclass(frozen=True, slots=True)
class Plan:
    """One database by its usual name, who owns it, and who else may connect."""

    name: str
    owner: str
    users: Sequence[str]


COMMAND = Plan("twinlog_command", "twinlog_command_owner", ("twinlog_command_app",))
QUERY = Plan("twinlog_query", "twinlog_query_owner", ("twinlog_query_app", "twinlog_query_reader"))
VAULT = Plan("twinlog_vault", "twinlog_vault_owner", ("twinlog_vault_writer", "twinlog_vault_reader"))
PLANS = (COMMAND, QUERY, VAULT)
ROLES = tuple(role for plan in PLANS for role in (plan.owner, *plan.users))


def url_for(server: str, database: str, role: str, password: str) -> str:
    """The URL of a database on the server that another URL names."""
    place = urlsplit(server)
    return f"postgresql://{role}:{quote(password, safe='')}@{place.hostname}:{place.port}/{database}"


def ensure_roles(admin: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing and set every password; the server is sent verifiers, not passwords."""
    present = {name for (name,) in admin.execute("SELECT rolname FROM pg_catalog.pg_roles")}
    for role, password in passwords.items():
        verifier = admin.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
        verb = sql.SQL("ALTER" if role in present else "CREATE")
        limits = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION")
        admin.execute(
            sql.SQL("{} ROLE {} {} PASSWORD {}").format(verb, sql.Identifier(role), limits, sql.Literal(verifier))
        )


def ensure_database(admin: psycopg.Connection, plan: Plan) -> None:
    """Create the database if it is missing; nobody but its own roles may connect. Needs an autocommit connection."""
    found = admin.execute("SELECT datname FROM pg_catalog.pg_database WHERE datname = %s", [plan.name]).fetchone()
    if found is None:
        create_database(admin, plan)
    restrict(admin, plan)


def create_database(admin: psycopg.Connection, plan: Plan, template: str = "template0") -> None:
    """Create a database, empty or as a copy of one that nobody is connected to."""
    admin.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} ENCODING {}").format(
            sql.Identifier(plan.name), sql.Identifier(plan.owner), sql.Identifier(template), sql.Literal(ENCODING)
        )
    )


def restrict(admin: psycopg.Connection, plan: Plan) -> None:
    """Let only the database's own roles connect to it."""
    database = sql.Identifier(plan.name)
    admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    users = sql.SQL(", ").join(sql.Identifier(user) for user in plan.users)
    if plan.users:
        admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, users))


def drop_database(admin: psycopg.Connection, name: str) -> None:
    """Remove a database, whoever is connected to it."""
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
