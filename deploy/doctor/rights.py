"""Whether a run-time role may do what it needs and nothing else."""

from collections.abc import Iterator, Mapping, Sequence

from deploy.doctor.connecting import Connection, rows
from deploy.doctor.finding import Check, fine, found
from deploy.doctor.surroundings import Way

BOOKKEEPING = frozenset({"INSERT", "UPDATE", "DELETE"})
ADD = frozenset({"INSERT"})
READ = frozenset({"SELECT"})
NOTHING: frozenset[str] = frozenset()
GENERATIONS = ("blue", "green")

MAY_CHANGE: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {
    ("command", "command"): {"publication": frozenset({"INSERT", "UPDATE"}), "log_sums": ADD},
    ("query", "query"): {
        "audit_events": ADD,
        "skipped_events": ADD,
        "lost_events": NOTHING,
        "alembic_version": NOTHING,
    },
    ("vault", "command"): {"subject_keys": ADD},
    ("vault", "query"): {},
}
"""By database and service: what the role may do to a table besides reading it. The log, the copy of it that auditors
read, and the keys of people are never changed or emptied by a role that serves requests."""

NAMES = {
    ("command", "command"): "command",
    ("query", "query"): "query",
    ("query", "reader"): "query-reader",
    ("vault", "command"): "vault-writer",
    ("vault", "query"): "vault-reader",
}

OTHERWISE: Mapping[tuple[str, str], frozenset[str]] = {("query", "query"): BOOKKEEPING}
"""What it may do to tables that are not named: only the projector keeps books of its own."""

READERS_BOOKS: Mapping[str, frozenset[str]] = {
    "alembic_version": READ,
    "checkpoints": READ,
    "log_epochs": READ,
    "log_mark": READ | {"INSERT", "UPDATE"},
    "parked_events": READ,
    "projections": READ,
    "rebuilds": READ,
}
"""All that the query API may do in `public`; the audit copy is shown to it through a view with the tenant inside."""

HARMLESS = ("pg_read_all_stats", "pg_monitor")

_ROLE = """
SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
    has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
    (SELECT pg_get_userbyid(datdba) = current_user FROM pg_catalog.pg_database WHERE datname = current_database())
        AS owns_database
FROM pg_catalog.pg_roles WHERE rolname = current_user
"""
_ATTRIBUTES = {
    "rolsuper": "is a superuser",
    "owns_database": "owns the database",
    "rolcreatedb": "may create databases",
    "rolcreaterole": "may create roles",
    "rolreplication": "may replicate everything",
    "rolbypassrls": "passes row level security",
    "creates_schemas": "may create schemas",
}
_MEMBER = """
SELECT rolname AS name FROM pg_catalog.pg_roles
WHERE rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER') AND NOT rolname = ANY (%s) ORDER BY rolname
"""
_SCHEMAS = """
SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE has_schema_privilege(oid, 'CREATE') ORDER BY nspname
"""
_OWNED = """
SELECT relname AS name FROM pg_catalog.pg_class WHERE pg_get_userbyid(relowner) = current_user ORDER BY relname LIMIT 1
"""
_TABLES = """
SELECT n.nspname AS schema, c.relname AS name, p.privilege,
    CASE WHEN p.privilege IN ('SELECT', 'DELETE', 'TRUNCATE', 'TRIGGER') THEN has_table_privilege(c.oid, p.privilege)
         ELSE has_any_column_privilege(c.oid, p.privilege) END AS granted
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS p (privilege)
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY n.nspname, c.relname, p.privilege
"""
_UNWALLED = """
SELECT n.nspname || '.' || c.relname AS name
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT') AND (NOT row_security_active(c.oid) OR EXISTS (
    SELECT FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_roles r ON r.rolname = current_user
    WHERE p.polrelid = c.oid AND p.polpermissive AND p.polname <> 'own_tenant' AND p.polroles && ARRAY[0::oid, r.oid]))
ORDER BY name
"""
_ENTERS = """
SELECT datname AS name FROM pg_catalog.pg_database
WHERE datname = ANY (%s) AND has_database_privilege(oid, 'CONNECT') ORDER BY datname
"""


def rights(way: Way, connection: Connection, foreign: Sequence[str]) -> Check:
    """`foreign`: the other databases of the pair on the same server, which this role has no business in."""
    name = f"rights.{NAMES[way.database, way.service]}"
    excess = list(_too_much(way, connection, foreign))
    if excess:
        says = f"{way.role} {excess[0]}" + (f", and {len(excess) - 1} more." if len(excess) > 1 else ".")
        advice = f"as owner or administrator, take that from {way.role} (REVOKE or ALTER ROLE)."
        return found(name, says, advice, role=way.role, excess=excess)
    lacking = list(_too_little(way, connection))
    if lacking:
        says = f"{way.role} cannot read {lacking[0]}."
        return found(name, says, "run `twinlog migrate`, which grants the rights anew.", role=way.role, lacking=lacking)
    return fine(name, f"{way.role} holds what it needs and no more.", role=way.role)


def _too_much(way: Way, connection: Connection, foreign: Sequence[str]) -> Iterator[str]:
    (role,) = rows(connection, _ROLE)
    yield from (words for attribute, words in _ATTRIBUTES.items() if role[attribute])
    if role["rolsuper"]:
        return  # everything below would follow from that
    for words, statement, *values in (
        ("is a member of", _MEMBER, list(HARMLESS)),
        ("may create tables in", _SCHEMAS),
        ("owns", _OWNED),
        ("may connect to", _ENTERS, list(foreign)),
    ):
        yield from (f"{words} {row['name']}" for row in rows(connection, str(statement), *values))
    if way.service == "reader":
        yield from (f"sees every tenant in {row['name']}" for row in rows(connection, _UNWALLED))
    yield from _too_much_of_tables(way, connection)


def _too_much_of_tables(way: Way, connection: Connection) -> Iterator[str]:
    for row in rows(connection, _TABLES):
        if row["granted"] and row["privilege"] not in _allowed(way, row["schema"], row["name"]):
            yield f"may {row['privilege']} {_table(row)}"


def _too_little(way: Way, connection: Connection) -> Iterator[str]:
    for row in rows(connection, _TABLES):
        readable = "SELECT" in _allowed(way, row["schema"], row["name"])
        if row["privilege"] == "SELECT" and readable and not row["granted"]:
            yield _table(row)


def _allowed(way: Way, schema: str, table: str) -> frozenset[str]:
    if way.service == "reader":
        return READ if schema in GENERATIONS else READERS_BOOKS.get(table, NOTHING)
    if way.database == "query" and schema in GENERATIONS:
        return BOOKKEEPING | READ | {"TRUNCATE"}
    named = MAY_CHANGE.get((way.database, way.service), {})
    return named.get(table, OTHERWISE.get((way.database, way.service), NOTHING)) | READ


def _table(row: Mapping[str, object]) -> str:
    return f"{row['schema']}.{row['name']}"
