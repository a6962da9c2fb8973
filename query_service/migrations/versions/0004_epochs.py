"""What becomes of the copy of a log that was restored from a backup: the lost branch is set aside, never destroyed.

The run-time role still cannot change or remove what is in the audit copy. The one thing it may ask for is that the end
of the copy, from some position on, be moved to `lost_events`, and only on the way to a newer epoch than any in the
books.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE public.log_epochs (
    epoch        bigint      NOT NULL,
    followed     bigint      NOT NULL,
    agreed_upto  bigint      NOT NULL,
    lost         bigint      NOT NULL,
    learnt_at    timestamptz NOT NULL DEFAULT now(),
    whole_since  timestamptz,
    CONSTRAINT log_epochs_pk PRIMARY KEY (epoch)
);
CREATE TABLE public.lost_events (
    lost_to         bigint   NOT NULL,
    position        bigint   NOT NULL,
    epoch           bigint   NOT NULL,
    tenant          text     NOT NULL,
    tenant_seq      bigint   NOT NULL,
    stream          text     NOT NULL,
    version         bigint   NOT NULL,
    topic           text     NOT NULL,
    payload_format  smallint NOT NULL,
    payload         bytea    NOT NULL,
    metadata        bytea    NOT NULL,
    event_id        uuid     NOT NULL,
    recorded_at     bigint   NOT NULL,
    slot            integer  NOT NULL,
    leaf_version    smallint NOT NULL,
    leaf_hash       bytea    NOT NULL,
    CONSTRAINT lost_events_pk PRIMARY KEY (lost_to, position)
);
"""

SET_ASIDE = """
CREATE FUNCTION public.set_lost_events_aside_v1(agreed_upto bigint, next_epoch bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    IF next_epoch <= (SELECT max(c.epoch) FROM public.checkpoints AS c) THEN
        RAISE EXCEPTION 'Epoch % is not newer than the books.', next_epoch USING ERRCODE = 'restrict_violation';
    END IF;
    DELETE FROM public.skipped_events AS k WHERE k.position > agreed_upto;
    WITH lost AS (
        DELETE FROM public.audit_events AS a WHERE a.position > agreed_upto
        RETURNING a.position, a.epoch, a.tenant, a.tenant_seq, a.stream, a.version, a.topic, a.payload_format,
            a.payload, a.metadata, a.event_id, a.recorded_at, a.slot, a.leaf_version, a.leaf_hash)
    INSERT INTO public.lost_events (lost_to, position, epoch, tenant, tenant_seq, stream, version, topic,
        payload_format, payload, metadata, event_id, recorded_at, slot, leaf_version, leaf_hash)
    SELECT next_epoch, lost.position, lost.epoch, lost.tenant, lost.tenant_seq, lost.stream, lost.version, lost.topic,
        lost.payload_format, lost.payload, lost.metadata, lost.event_id, lost.recorded_at, lost.slot,
        lost.leaf_version, lost.leaf_hash FROM lost;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END $$
"""

NOBODY_ELSE = "REVOKE ALL ON FUNCTION public.set_lost_events_aside_v1(bigint, bigint) FROM PUBLIC"


def upgrade() -> None:
    for statement in (TABLES, SET_ASIDE, NOBODY_ELSE):
        op.execute(statement)
