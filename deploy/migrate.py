"""Bringing the three databases to this release's schema, each with its owner's rights and no others."""

from collections.abc import Callable, Mapping
from typing import Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict

from command_service.infrastructure import schema as command_schema
from command_service.infrastructure import vault_schema
from query_service.infrastructure import schema as query_schema
from shared_kernel.process import Unreachable, place_of


class Environments(Protocol):
    """Settings without their prefix, for each service and for the owners of the databases."""

    @property
    def command(self) -> Mapping[str, str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...

    @property
    def owner(self) -> Mapping[str, str]: ...


def told_by(url: str) -> Mapping[str, str]:
    """What a database URL says, by the names that PostgreSQL has for it; nothing where it cannot be read."""
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        return {}


def role_of(url: str | None) -> str | None:
    """The user in a database URL."""
    return told_by(url).get("user") if url else None


def migrate(variables: Environments) -> list[str]:
    """Migrate every database whose owner's URL is known, and return their names; repeatable.

    The users of the run-time URLs get the run-time rights. Raises `Unreachable`, `SchemaMismatch` when a database is
    newer than this release, and `psycopg.Error`.
    """
    command, query = variables.command, variables.query
    writer, reader = role_of(command.get("VAULT_DATABASE_URL")), role_of(query.get("VAULT_DATABASE_URL"))
    steps: dict[str, Callable[[str], None]] = {
        "COMMAND": lambda url: command_schema.upgrade(url, role_of(command.get("COMMAND_DATABASE_URL"))),
        "QUERY": lambda url: query_schema.upgrade(
            url, role_of(query.get("QUERY_DATABASE_URL")), role_of(query.get("QUERY_READER_URL"))
        ),
        "VAULT": lambda url: vault_schema.upgrade(url, writer, reader),
    }
    done = []
    for database, upgrade in steps.items():
        url = variables.owner.get(f"{database}_OWNER_URL")
        if url is not None:
            require_database(url)
            upgrade(url)
            done.append(database.lower())
    return done


def require_database(url: str) -> None:
    """Raises `Unreachable` with the reason, and without the password, when a database cannot be connected to."""
    try:
        psycopg.connect(url, connect_timeout=10).close()
    except psycopg.ProgrammingError:  # which quotes the URL with its password
        raise Unreachable(f"The URL of the database at {place_of(url)} cannot be read.") from None
    except psycopg.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise Unreachable(f"The database at {place_of(url)} cannot be reached: {reason}") from None
