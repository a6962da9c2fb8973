"""Row level security: whoever reads for one tenant sees the rows of the tenant that the transaction names, or none.

The role that writes (it adds to the audit copy) goes on to see everything, so the release before works on this schema.
What must not be walled off row by row is given to readers another way, by the owner: the audit copy (PostgreSQL lets
nobody COPY into a table with row level security) and the searched list of resources (`@>` and `^@` are not leakproof,
their indexes would lie idle) as views with the tenant inside; and what the service itself knows of all tenants, its
news of ended sessions and policies and where something is parked, as functions that tell that and no more.

The setting stands in a SELECT of its own so that no plan is made for the tenant of the moment: a prepared statement
that was planned for a small tenant, or for none, would be carried out for a large one.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
works_since = "0006"

KEEP_APART = """
CREATE OR REPLACE FUNCTION public.keep_tenants_apart_v1(walled regclass) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    writer name;
BEGIN
    IF NOT (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = walled) THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', walled);
    END IF;
    IF NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = walled AND p.polname = 'own_tenant') THEN
        EXECUTE format(
            'CREATE POLICY own_tenant ON %s FOR SELECT '
            'USING (tenant = (SELECT current_setting(''twinlog.tenant'', true)))', walled);
    END IF;
    FOR writer IN
        SELECT r.rolname FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee
         WHERE c.oid = 'public.audit_events'::regclass AND a.privilege_type = 'INSERT' AND a.grantee <> c.relowner
           AND NOT EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = walled AND r.oid = ANY (p.polroles))
    LOOP
        EXECUTE format('CREATE POLICY %I ON %s TO %I USING (true)', 'every_tenant_' || writer, walled, writer);
    END LOOP;
END $$
"""

AUDIT_COPY = """
CREATE OR REPLACE VIEW public.tenant_events AS
SELECT e.position, e.epoch, e.tenant, e.tenant_seq, e.stream, e.version, e.topic, e.payload_format, e.payload,
       e.metadata, e.event_id, e.recorded_at, e.slot, e.leaf_version, e.leaf_hash, e.actor, e.correlation_id
  FROM public.audit_events AS e WHERE e.tenant = (SELECT current_setting('twinlog.tenant', true))
"""
RESOURCES = """
CREATE OR REPLACE VIEW {generation}.tenant_resources AS
SELECT r.tenant, r.id, r.version, r.created_position, r.name, r.description, r.classification, r.attributes, r.tags,
       r.owner, r.state, r.created_at, r.updated_at
  FROM {generation}.resources AS r WHERE r.tenant = (SELECT current_setting('twinlog.tenant', true))
"""

PARKED = """
CREATE OR REPLACE FUNCTION public.parked_units_v1() RETURNS TABLE (projection text, generation text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT c.projection, c.generation FROM public.checkpoints AS c
     WHERE EXISTS (SELECT FROM public.parked_events AS k
                    WHERE k.projection = c.projection AND k.generation = c.generation);
END $$;
CREATE OR REPLACE FUNCTION public.parked_counts_v1()
RETURNS TABLE (projection text, generation text, events bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
SELECT k.projection, k.generation, count(*) FROM public.parked_events AS k GROUP BY k.projection, k.generation
$$;
REVOKE ALL ON FUNCTION public.parked_units_v1(), public.parked_counts_v1() FROM PUBLIC;
REVOKE ALL ON FUNCTION public.keep_tenants_apart_v1(regclass) FROM PUBLIC;
"""
NEWS = """
CREATE OR REPLACE FUNCTION {generation}.ended_sessions_v1(since double precision)
RETURNS TABLE (tenant text, id uuid, ended_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
SELECT s.tenant, s.id, s.ended_at FROM {generation}.sessions AS s WHERE s.ended_at >= to_timestamp(since)
$$;
CREATE OR REPLACE FUNCTION {generation}.changed_policies_v1(after bigint)
RETURNS TABLE (tenant text, id uuid, changed_position bigint, role text, permission text, condition text, effect text,
    removed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
SELECT p.tenant, p.id, p.changed_position, p.role, p.permission, p.condition, p.effect, p.removed_at
  FROM {generation}.policies AS p WHERE p.changed_position > after
$$;
REVOKE ALL ON FUNCTION {generation}.ended_sessions_v1(double precision), {generation}.changed_policies_v1(bigint)
    FROM PUBLIC;
"""

GENERATIONS = ("blue", "green")
BOOKS = ("public.parked_events", "public.skipped_events", "public.lost_events")
READ_MODELS = ("resources", "users", "sessions", "role_bindings", "stream_owners", "operations", "policies")


def upgrade() -> None:
    for statement in (KEEP_APART, AUDIT_COPY, PARKED):
        op.execute(statement)
    for generation in GENERATIONS:
        op.execute(RESOURCES.format(generation=generation))
        op.execute(NEWS.format(generation=generation))
    walled = [*BOOKS, *(f"{generation}.{table}" for generation in GENERATIONS for table in READ_MODELS)]
    with op.get_context().autocommit_block():  # one lock at a time: a projector takes them in an order of its own
        for table in walled:
            op.execute(f"SELECT public.keep_tenants_apart_v1('{table}')")
