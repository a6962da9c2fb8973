"""The query database: bringing it to this release's schema, and what the run-time role may do in it.

`public` holds the audit copy of the log and the projector's bookkeeping; `blue` and `green` hold the same read-model
tables, one generation each. The run-time role adds to the audit copy but cannot change or remove what is in it. The
reader is the role of the query API: row level security shows it one tenant at a time, and it writes nothing but the
newest mark that it has seen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection, sql

from shared_kernel import migrations

FOLDER = Path(__file__).parents[1] / "migrations"
GENERATIONS = ("blue", "green")

AUDIT_COPY = "audit_events"
"""The name under which the audit copy has rows in `projections` and `checkpoints`; its generation is always blue."""

GRANTS = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
    "GRANT USAGE ON SCHEMA public, blue, green TO {role}",
    "GRANT SELECT ON public.alembic_version TO {role}",
    "GRANT SELECT, INSERT ON public.audit_events TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.projections, public.log_mark, public.orders_heard TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.orders, public.rebuilds TO {role}",
    "GRANT SELECT, INSERT ON public.skipped_events TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.log_epochs TO {role}",
    "GRANT SELECT ON public.lost_events TO {role}",
    "GRANT EXECUTE ON FUNCTION public.set_lost_events_aside_v1(bigint, bigint) TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON public.checkpoints, public.parked_events TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA blue, green TO {role}",
    "GRANT SELECT ON public.tenant_events TO {role}",
    "GRANT EXECUTE ON FUNCTION {crossings} TO {role}",
    "SELECT public.keep_tenants_apart_v1(c.oid) FROM pg_catalog.pg_class AS c WHERE c.relrowsecurity",
)

READER_GRANTS = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA public, blue, green FROM {role}",
    "GRANT USAGE ON SCHEMA public, blue, green TO {role}",
    "GRANT SELECT ON public.alembic_version, public.projections, public.checkpoints, public.log_epochs TO {role}",
    "GRANT SELECT ON public.rebuilds, public.parked_events, public.tenant_events TO {role}",
    "GRANT SELECT, INSERT, UPDATE ON public.log_mark TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA blue, green TO {role}",
    "GRANT EXECUTE ON FUNCTION {crossings} TO {role}",
)

CROSSINGS = (
    "public.parked_units_v1()",
    "public.parked_counts_v1()",
    "public.withdrawn_roles_v1(double precision)",
    *(f"{generation}.ended_sessions_v1(double precision)" for generation in GENERATIONS),
    *(f"{generation}.changed_policies_v1(bigint)" for generation in GENERATIONS),
)
"""The owner's functions that tell of all tenants at once: what every process of the service has to know."""


def upgrade(owner_url: str, app_role: str | None, reader_role: str | None = None) -> None:
    """Bring the database behind `owner_url` to the newest revision and give the roles their rights; repeatable.

    `reader_role` may be left out or the same as `app_role`: then there is no second wall between tenants.
    Raises psycopg.Error when the database refuses.
    """
    writers = _grants(GRANTS, app_role)
    readers = _grants(READER_GRANTS, None if reader_role == app_role else reader_role)
    migrations.upgrade(owner_url, FOLDER, grants=[*writers, *readers])


def _grants(statements: Sequence[str], role: str | None) -> Sequence[sql.Composed]:
    if role is None:
        return ()
    named = {"role": sql.Identifier(role), "crossings": sql.SQL(", ".join(CROSSINGS))}
    return [sql.SQL(statement).format(**named) for statement in statements]


def head() -> str:
    """The schema revision this release needs."""
    return migrations.head(FOLDER)


async def check(connection: AsyncConnection[Any]) -> None:
    """Raises SchemaMismatch unless the database is at this release's revision."""
    await migrations.check(connection, FOLDER)
