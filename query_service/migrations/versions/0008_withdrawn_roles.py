"""Which roles were withdrawn lately, of all tenants: every process asks for it several times a second."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
works_since = "0006"

BROKEN_OFF = "DROP INDEX CONCURRENTLY IF EXISTS public.audit_events_withdrawn_roles_ix"
INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS audit_events_withdrawn_roles_ix ON public.audit_events (recorded_at)
    WHERE topic = 'access.RoleWithdrawn.v1'
"""
NEWS = """
CREATE OR REPLACE FUNCTION public.withdrawn_roles_v1(since double precision)
RETURNS TABLE (tenant text, stream text, version bigint, recorded_at bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
SELECT e.tenant, e.stream, e.version, e.recorded_at FROM public.audit_events AS e
 WHERE e.topic = 'access.RoleWithdrawn.v1' AND e.recorded_at >= (since * 1000000)::bigint
$$;
REVOKE ALL ON FUNCTION public.withdrawn_roles_v1(double precision) FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(NEWS)
    with op.get_context().autocommit_block():
        op.execute(BROKEN_OFF)
        op.execute(INDEX)
