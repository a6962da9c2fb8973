"""Each database: can it be reached, has it this release's schema, and does its clock agree with ours?"""

from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg

from command_service.infrastructure import schema as command_schema
from command_service.infrastructure import vault_schema
from deploy.doctor.connecting import Connection, reason_of, rows
from deploy.doctor.finding import Check, fine, found, unreachable
from deploy.doctor.surroundings import Way
from query_service.infrastructure import schema as query_schema
from shared_kernel.errors import SchemaMismatch
from shared_kernel.migrations import check_blocking
from shared_kernel.process import place_of

FOLDERS = {"command": command_schema.FOLDER, "query": query_schema.FOLDER, "vault": vault_schema.FOLDER}
MOST_SKEW = timedelta(seconds=2)
"""Tokens and denials are compared by time on several machines; they tolerate a little."""

_SIZE = "SELECT pg_database_size(current_database()) AS bytes, current_setting('server_version') AS version"
_CLOCK = "SELECT clock_timestamp() AS now"


def reached(way: Way, connection: Connection) -> Check:
    (row,) = rows(connection, _SIZE)
    says = (
        f"PostgreSQL {row['version'].split()[0]} at {place_of(way.url)} answers {way.role}, {row['bytes'] >> 20} MiB."
    )
    return fine(f"database.{way.database}", says, role=way.role, bytes=row["bytes"])


def not_reached(way: Way, error: psycopg.Error) -> Check:
    says = f"{place_of(way.url)} does not answer {way.role}: {reason_of(error)}"
    advice = "start the server, or correct the URL or password of this role."
    return unreachable(f"database.{way.database}", says, advice, role=way.role)


def revision(way: Way, connection: Connection) -> Check:
    name = f"schema.{way.database}"
    try:
        check_blocking(connection, FOLDERS[way.database])
    except SchemaMismatch as error:
        return found(name, error.detail, "run `twinlog migrate` of the release that the processes run.")
    return fine(name, "At this release's revision.")


def clock(name: str, ask: Callable[[], datetime], now: Callable[[], datetime]) -> Check:
    """Compare another clock with ours; the time the question took is on nobody's account."""
    before = now()
    theirs = ask()
    after = now()
    ahead = theirs - after if theirs > after else theirs - before if theirs < before else timedelta()
    facts = {"seconds_ahead": round(ahead.total_seconds(), 3)}
    if abs(ahead) <= MOST_SKEW:
        return fine(name, f"{abs(ahead).total_seconds():.1f} s from this machine's clock.", **facts)
    way = "ahead of" if ahead > timedelta() else "behind"
    says = f"{abs(ahead).total_seconds():.1f} s {way} this machine's clock."
    return found(name, says, "let NTP set the clocks of both machines.", **facts)


def time_of(connection: Connection) -> datetime:
    (row,) = rows(connection, _CLOCK)
    told: datetime = row["now"]
    return told
