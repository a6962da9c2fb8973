"""The query database's schema: names, rights, generations, and which revision is refused."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from query_service.features import PROJECTIONS
from query_service.infrastructure import schema
from query_service.infrastructure.projection import Projection
from shared_kernel.errors import SchemaMismatch
from tests.support.cluster import Database

APP = "twinlog_query_app"
READ_MODELS = [
    f"{generation}.{projection.table.name}" for generation in schema.GENERATIONS for projection in PROJECTIONS
]


def may(connection: psycopg.Connection, table: str) -> set[str]:
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    asked = [connection.execute("SELECT has_table_privilege(%s, %s, %s)", (APP, table, each)) for each in rights]
    return {each for each, answer in zip(rights, asked, strict=True) if answer.fetchone() == (True,)}


@pytest.mark.parametrize("projection", PROJECTIONS, ids=lambda projection: str(projection.name))
def test_every_projection_has_its_table_in_both_generations(query_database: Database, projection: Projection) -> None:
    with psycopg.connect(query_database.app_url) as connection:
        for generation in schema.GENERATIONS:
            columns = connection.execute(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a"
                " WHERE a.attrelid = %s::regclass AND a.attnum > 0 ORDER BY a.attnum",
                (f"{generation}.{projection.table.name}",),
            ).fetchall()
            names = {"timestamp with time zone": "timestamptz"}
            assert {name: names.get(kind, kind) for name, kind in columns} == dict(projection.table.columns)
            key = connection.execute(
                "SELECT array_agg(a.attname ORDER BY k.place) FROM pg_constraint c"
                " CROSS JOIN unnest(c.conkey) WITH ORDINALITY AS k (attnum, place)"
                " JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum"
                " WHERE c.conrelid = %s::regclass AND c.contype = 'p'",
                (f"{generation}.{projection.table.name}",),
            ).fetchone()
            assert key == (list(projection.table.key),)


@pytest.mark.asvs("V13.2.2", "V16.4.2")
def test_the_run_time_role_adds_to_the_audit_copy_and_changes_nothing_in_it(query_database: Database) -> None:
    with psycopg.connect(query_database.app_url) as connection:
        assert may(connection, "public.audit_events") == {"SELECT", "INSERT"}
        assert may(connection, "public.checkpoints") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
        for table in READ_MODELS:
            assert may(connection, table) == {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.mine (id integer)")


def test_migrating_is_repeatable_and_safe_for_many_at_once(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: schema.upgrade(empty_database, APP), range(4)))
    schema.upgrade(empty_database, None)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT version_num FROM public.alembic_version").fetchall() == [(schema.head(),)]
        assert may(connection, "public.audit_events") == {"SELECT", "INSERT"}


async def test_another_schema_than_this_releases_is_refused(empty_database: str, query_database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        with pytest.raises(SchemaMismatch, match="is empty"):
            await schema.check(connection)
    async with await psycopg.AsyncConnection.connect(query_database.owner_url) as connection:
        await schema.check(connection)
        await connection.execute("UPDATE public.alembic_version SET version_num = '9999'")
        with pytest.raises(SchemaMismatch, match="9999"):
            await schema.check(connection)


def test_every_constraint_and_index_is_named_by_us(query_database: Database) -> None:
    with psycopg.connect(query_database.app_url) as connection:
        names = connection.execute(
            "SELECT c.conname FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace"
            " WHERE n.nspname IN ('public', 'blue', 'green') AND c.contype <> 'n'"
        ).fetchall()
    ours = [name for (name,) in names if name != "alembic_version_pkc"]
    assert all(name.endswith(("_pk", "_uq", "_ck")) for name in ours), ours
    assert ours
