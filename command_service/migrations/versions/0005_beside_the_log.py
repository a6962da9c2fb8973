"""Functions for what stands beside the log: snapshots, tracking, and answers that have grown old."""

from alembic import op

revision = "0005"
down_revision = "0004"

SAVE_SNAPSHOTS = """
CREATE FUNCTION save_snapshots_v1(
    for_tenant text, for_purpose text, streams text[], versions bigint[], topics text[], states bytea[]
) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
BEGIN ATOMIC
    INSERT INTO snapshots (version, tenant, purpose, stream, topic, state)
    SELECT s.version, for_tenant, for_purpose, s.stream, s.topic, s.state
    FROM unnest(streams, versions, topics, states) s (stream, version, topic, state);
END
"""

ADVANCE_TRACKING = """
CREATE FUNCTION advance_tracking_v1(for_owner text, for_application text, id bigint)
RETURNS SETOF bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
BEGIN ATOMIC
    INSERT INTO tracking AS r (notification_id, owner, application_name) VALUES (id, for_owner, for_application)
    ON CONFLICT ON CONSTRAINT tracking_application DO UPDATE SET notification_id = EXCLUDED.notification_id
    WHERE r.notification_id < EXCLUDED.notification_id
    RETURNING r.notification_id;
END
"""

FORGET_ANSWERS = """
CREATE FUNCTION forget_answers_v1(before bigint, at_most integer)
RETURNS bigint LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
BEGIN ATOMIC
    WITH gone AS (
        DELETE FROM idempotency r WHERE r.ctid = ANY (ARRAY(
            SELECT o.ctid FROM idempotency o WHERE o.created_at < before LIMIT at_most))
        RETURNING r.created_at)
    SELECT count(*) FROM gone;
END
"""


WRITERS = ("save_snapshots_v1", "advance_tracking_v1", "forget_answers_v1")


def upgrade() -> None:
    for statement in (SAVE_SNAPSHOTS, ADVANCE_TRACKING, FORGET_ANSWERS):
        op.execute(statement)
    for function in WRITERS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
