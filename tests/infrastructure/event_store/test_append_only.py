"""Nobody rewrites history: by privilege for the service, by trigger for everybody."""

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from tests.infrastructure.event_store.given import append
from tests.support.cluster import Database

CHANGES = ["UPDATE events SET topic = 'x'", "DELETE FROM events", "TRUNCATE events"]

APP_FORBIDDEN = [
    *CHANGES,
    "INSERT INTO events (position) VALUES (1)",
    "UPDATE installation SET epoch = 2",
    "DELETE FROM claims",
    "DELETE FROM idempotency",
    "DELETE FROM erased_subjects",
    "INSERT INTO claims (tenant, kind, key, stream, position) VALUES ('a', 'b', 'c', 'd', 1)",
    "ALTER TABLE events DISABLE TRIGGER events_append_only",
    "CREATE TABLE public.mine (x int)",
]

WITH_THE_OWNERS_RIGHTS = [
    "advance_tracking_v1",
    "append_events_v1",
    "forget_answers_v1",
    "keep_snapshot_v1",
    "save_snapshots_v1",
]
"""The only ways in for the service."""


@pytest.mark.asvs("V13.2.2")
@pytest.mark.parametrize("statement", APP_FORBIDDEN)
def test_service_may_only_read_and_append(command_database: Database, statement: str) -> None:
    with (
        psycopg.connect(command_database.app_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.asvs("V16.4.2")
@pytest.mark.parametrize("statement", CHANGES)
async def test_trigger_refuses_even_the_owner(
    command_database: Database, store: PostgresEventStore, statement: str
) -> None:
    await store.append(append("loans-1"))
    with (
        psycopg.connect(command_database.owner_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="append-only"),
    ):
        connection.execute(statement)


def test_strangers_may_not_append(command_database: Database) -> None:
    with psycopg.connect(command_database.owner_url) as owner:
        writers = owner.execute("""
            SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'public' AND p.prosecdef AND EXISTS (
                SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
        """).fetchall()
    assert writers == []


def test_functions_with_the_owners_rights_pin_their_search_path(command_database: Database) -> None:
    with psycopg.connect(command_database.owner_url) as owner:
        settings = owner.execute("""
            SELECT p.proname, p.proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'public' AND p.prosecdef ORDER BY p.proname
        """).fetchall()
    assert [name for name, _ in settings] == WITH_THE_OWNERS_RIGHTS
    for name, config in settings:
        assert "search_path=public, pg_temp" in config, name
