"""The query database: bringing it to this release's schema, and what the run-time role may do in it.

`public` holds the audit copy of the log and the projector's bookkeeping; `blue` and `green` hold the same read-model
tables, one generation each. The run-time role adds to the audit copy but cannot change or remove what is in it.
"""

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
)


def upgrade(owner_url: str, app_role: str | None) -> None:
    """Bring the database behind `owner_url` to the newest revision and give `app_role` its rights; repeatable.

    Raises psycopg.Error when the database refuses.
    """
    role = sql.Identifier(app_role or "")
    grants = tuple(sql.SQL(grant).format(role=role) for grant in GRANTS) if app_role else ()
    migrations.upgrade(owner_url, FOLDER, grants=grants)


def head() -> str:
    """The schema revision this release needs."""
    return migrations.head(FOLDER)


async def check(connection: AsyncConnection[Any]) -> None:
    """Raises SchemaMismatch unless the database is at this release's revision."""
    await migrations.check(connection, FOLDER)
