"""The query database's schema: names, rights, generations, and which revision is refused."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from query_service.features import PROJECTIONS
from query_service.infrastructure import schema
from query_service.infrastructure.projection import Projection
from shared_kernel.errors import SchemaMismatch
from tests.support.cluster import Database

APP, READER = "twinlog_query_app", "twinlog_query_reader"
READ_MODELS = [
    f"{generation}.{projection.table.name}" for generation in schema.GENERATIONS for projection in PROJECTIONS
]


def may(connection: psycopg.Connection, table: str, role: str = APP) -> set[str]:
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    asked = [connection.execute("SELECT has_table_privilege(%s, %s, %s)", (role, table, each)) for each in rights]
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


WALLED = """
SELECT n.nspname || '.' || c.relname, c.relrowsecurity,
       array_agg(p.polname::text || ' ' || pg_get_expr(p.polqual, p.polrelid) ORDER BY p.polname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_policy p ON p.polrelid = c.oid
 WHERE n.nspname IN ('blue', 'green') AND c.relkind IN ('r', 'p') GROUP BY 1, 2
"""
POLICIES = [
    f"every_tenant_{APP} true",
    "own_tenant (tenant = ( SELECT current_setting('twinlog.tenant'::text, true) AS current_setting))",
]


def unwalled(url: str) -> set[str]:
    """Read-model tables that do not keep tenants apart."""
    with psycopg.connect(url) as connection:
        found = connection.execute(WALLED).fetchall()
    assert {table for table, *_ in found} >= set(READ_MODELS)
    return {table for table, walled, policies in found if not walled or policies != POLICIES}


@pytest.mark.asvs("V8.4.1")
def test_every_read_model_keeps_tenants_apart(query_database: Database) -> None:
    assert unwalled(query_database.app_url) == set()


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("CREATE TABLE blue.planted (tenant text NOT NULL)", "blue.planted"),
        ("ALTER TABLE green.users DISABLE ROW LEVEL SECURITY", "green.users"),
        ("DROP POLICY own_tenant ON blue.policies", "blue.policies"),
        ("ALTER POLICY own_tenant ON blue.users USING (true)", "blue.users"),
        ("CREATE POLICY loose ON blue.sessions USING (true)", "blue.sessions"),
    ],
)
def test_that_test_finds_a_table_without_its_wall(query_database: Database, statement: str, table: str) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute(statement.encode())
    assert unwalled(query_database.app_url) == {table}


def test_a_new_read_model_is_walled_off_with_one_call(query_database: Database) -> None:
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("CREATE TABLE blue.planted (tenant text NOT NULL)")
        for _ in range(2):
            owner.execute("SELECT public.keep_tenants_apart_v1('blue.planted')")
    assert unwalled(query_database.app_url) == set()


@pytest.mark.asvs("V13.2.2")
def test_the_reader_writes_nothing_but_the_mark_that_it_has_seen(query_database: Database) -> None:
    writes = {"INSERT", "UPDATE", "DELETE", "TRUNCATE"}
    with psycopg.connect(query_database.app_url) as connection:
        tables = [
            table for (table,) in connection.execute("SELECT schemaname || '.' || relname FROM pg_stat_user_tables")
        ]
        written = {table: may(connection, table, READER) & writes for table in tables}
    assert {table: rights for table, rights in written.items() if rights} == {"public.log_mark": {"INSERT", "UPDATE"}}


def test_one_role_for_both_is_a_writer(empty_database: str) -> None:
    schema.upgrade(empty_database, APP, APP)
    with psycopg.connect(empty_database) as connection:
        assert may(connection, "blue.users") == {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"}


def test_migrating_is_repeatable_and_safe_for_many_at_once(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: schema.upgrade(empty_database, APP, READER), range(4)))
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
