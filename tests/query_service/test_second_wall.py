"""The second wall between tenants: with every condition of ours taken away, row level security shows no foreign row."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from query_service.features.accounts import queries as account_queries
from query_service.features.audit import queries as audit_queries
from query_service.features.policies import queries as policy_queries
from query_service.features.resources import queries as resource_queries
from query_service.infrastructure import schema
from query_service.infrastructure.lookup import Key, Lookup
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.events.policies import PolicyAdded
from tests.support.cluster import Database as Urls
from tests.support.cluster import Vault
from tests.support.query_side import Person, QuerySide, query_side_of

OURS, THEIRS = "acme", "globex"
ADMIN = Person(uuid4(), tenant=OURS, roles=("admin",))
FOREIGNER = Person(uuid4(), tenant=THEIRS, roles=("admin",))

READABLE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname IN ('public', 'blue', 'green')
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped)
   AND has_table_privilege(c.oid, 'SELECT')
 ORDER BY 1, 2
"""
COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a
 WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
BASE_OF = {"tenant_events": "audit_events", "tenant_resources": "resources"}
VALUES = {
    "text": "'blue'",
    "uuid": "gen_random_uuid()",
    "bigint": "currval('numbers')",
    "integer": "1",
    "smallint": "1",
    "jsonb": "'{}'",
    "bytea": "''",
    "timestamp with time zone": "now()",
}
"""A value of each type that every constraint accepts."""


INSERT = sql.SQL("INSERT INTO {table} ({names}) VALUES ({values})")


def readable(url: str) -> list[tuple[str, str]]:
    """Everything with a tenant in it that a role may read."""
    with psycopg.connect(url) as connection:
        return connection.execute(READABLE).fetchall()


@pytest.fixture
def filled(query_database: Urls) -> Urls:
    """A row of each of two tenants in every table."""
    with psycopg.connect(query_database.owner_url) as owner:
        owner.execute("CREATE SEQUENCE numbers")
        tables = {f"{place}.{BASE_OF.get(name, name)}" for place, name in readable(query_database.reader_url)}
        for table in sorted(tables):
            columns = owner.execute(COLUMNS, (table,)).fetchall()
            for tenant in (OURS, THEIRS):
                owner.execute("SELECT nextval('numbers')")
                owner.execute(
                    INSERT.format(
                        table=sql.Identifier(*table.split(".")),
                        names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
                        values=sql.SQL(", ").join(
                            sql.Literal(tenant) if name == "tenant" else sql.SQL(VALUES[kind]) for name, kind in columns
                        ),
                    )
                )
    return query_database


def tenants_in(connection: psycopg.Connection, table: tuple[str, str]) -> list[str]:
    """Whose rows a question without any condition brings."""
    question = sql.SQL("SELECT tenant FROM {} ORDER BY tenant").format(sql.Identifier(*table))
    return [tenant for (tenant,) in connection.execute(question)]


@pytest.mark.asvs("V8.4.1")
def test_a_question_without_any_condition_shows_the_rows_of_one_tenant_or_none(filled: Urls) -> None:
    tables = readable(filled.reader_url)
    assert {("blue", "resources"), ("green", "users"), ("public", "tenant_events")} < set(tables)
    with psycopg.connect(filled.reader_url, autocommit=True) as connection:
        for table in tables:
            assert tenants_in(connection, table) == [], "no tenant was said"
            for tenant in (OURS, THEIRS):
                with connection.transaction():
                    connection.execute("SELECT set_config('twinlog.tenant', %s, true)", (tenant,))
                    assert tenants_in(connection, table) == [tenant]
            assert tenants_in(connection, table) == [], "what was said ended with its transaction, and '' is nobody"


@pytest.mark.asvs("V13.2.2")
def test_the_reader_cannot_go_around_the_wall(filled: Urls) -> None:
    with psycopg.connect(filled.reader_url, autocommit=True) as connection:
        for statement in (
            "SELECT position FROM public.audit_events",
            "SELECT position FROM public.lost_events",
            "SET ROLE twinlog_query_app",
            "ALTER TABLE blue.users DISABLE ROW LEVEL SECURITY",
            "UPDATE blue.users SET name = 'x'",
            "SELECT public.set_lost_events_aside_v1(0, 9)",
            "SELECT public.keep_tenants_apart_v1('blue.users')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        connection.execute("SET row_security = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute("SELECT name FROM blue.users")


def test_whoever_writes_sees_every_tenant(filled: Urls) -> None:
    with psycopg.connect(filled.app_url) as connection:
        for table in readable(filled.reader_url):
            assert tenants_in(connection, (table[0], BASE_OF.get(table[1], table[1]))) == [OURS, THEIRS]


CROSSINGS = """
SELECT p.oid::regprocedure::text, p.proconfig FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname IN ('public', 'blue', 'green') AND p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE')
"""


def test_only_the_functions_that_are_named_tell_of_all_tenants(query_database: Urls) -> None:
    with psycopg.connect(query_database.reader_url) as connection:
        found: dict[str, list[str]] = dict(connection.execute(CROSSINGS).fetchall())
    assert {name.removeprefix("public.") for name in found} == {
        name.removeprefix("public.") for name in schema.CROSSINGS
    }
    assert all(config == ["search_path=pg_catalog, pg_temp"] for config in found.values())


class Tenantless(Lookup):
    """Rows are looked up, and handed out, by id alone."""

    @property
    def query(self) -> str:
        alias = self.key["id"].partition(".")[0]
        return f"{self.select} JOIN unnest($1::text[], $2::uuid[]) AS wanted (tenant, id) ON {alias}.id = wanted.id"

    def sorted_by(self, keys: Sequence[Key], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        found = {row["id"]: row for row in rows}
        return [found.get(key[1]) for key in keys]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first wall taken away: no condition of ours says a tenant any more, and everybody may do everything."""
    monkeypatch.setattr(PolicyEngine, "sql_filter", lambda *_: ("TRUE", {}))
    monkeypatch.setattr(PolicyEngine, "require", lambda *_: None)
    for module in (resource_queries, account_queries):
        monkeypatch.setattr(module, "BY_ID", Tenantless(module.BY_ID.select, module.BY_ID.key))
    for module, name, condition in (
        (audit_queries, "BY_POSITION", "a.tenant = %(tenant)s AND"),
        (policy_queries, "BY_ID", "p.tenant = %(tenant)s AND"),
        (resource_queries, "OF_STREAM", "a.tenant = %(tenant)s AND"),
    ):
        query = getattr(module, name)
        assert condition in query
        monkeypatch.setattr(module, name, query.replace(condition, ""))


async def leaks(side: QuerySide) -> set[str]:
    """The questions to which a foreigner is told what is ours; each is answered with what is the foreigner's own."""
    ids: dict[str, tuple[UUID, UUID]] = {}
    for person in (ADMIN, FOREIGNER):
        await side.register(person, name=person.tenant, email=f"{person.tenant}@example.org")
        resource, policy = await side.create(person, person.tenant, classification="public"), uuid4()
        rule = PolicyAdded(
            policy_id=policy, role="member", permission="resources:archive", condition="own", effect="deny"
        )
        await side.log.append(f"policies-{policy}", rule, tenant=person.tenant, actor=str(person.id))
        ids[person.tenant] = resource, policy
    await side.catch_up()
    found = set()
    for path in QUESTIONS:
        ours, own = (
            path.format(user=person.id, resource=ids[person.tenant][0], policy=ids[person.tenant][1], event=event)
            for person, event in ((ADMIN, 1), (FOREIGNER, 4))
        )
        heard, answer = await side.get(ours, FOREIGNER), await side.get(own, FOREIGNER)
        assert answer.status_code == 200
        assert str(FOREIGNER.id) in answer.text
        if str(ADMIN.id) in heard.text:
            found.add(path)
    return found


QUESTIONS = (
    "/v1/resources",
    "/v1/resources/{resource}",
    "/v1/resources/{resource}/history",
    "/v1/users",
    "/v1/users/{user}",
    "/v1/events",
    "/v1/events/{event}",
    "/v1/policies",
    "/v1/policies/{policy}",
)
VIEWS = ("blue.tenant_resources", "public.tenant_events")


@pytest.mark.asvs("V8.4.1")
@pytest.mark.usefixtures("forgetful")
async def test_with_the_first_wall_taken_away_no_question_over_http_is_answered_with_a_foreign_row(
    query_side: QuerySide,
) -> None:
    assert await leaks(query_side) == set()


@pytest.mark.usefixtures("forgetful")
async def test_with_both_walls_taken_away_every_question_leaks(
    query_database: Urls, vault_database: Vault, redis_url: str
) -> None:
    """So it was the second wall that held."""
    with psycopg.connect(query_database.owner_url) as owner:
        for view in VIEWS:
            (text,) = owner.execute("SELECT pg_get_viewdef(%s::regclass)", (view,)).fetchone() or ("",)
            open_to_all = text.partition("WHERE")[0]
            owner.execute(f"CREATE OR REPLACE VIEW {view} AS {open_to_all}".encode())
    async with query_side_of(query_database, vault_database, redis_url, query_reader_url=None) as side:
        assert await leaks(side) == set(QUESTIONS)
