"""The log and what stands beside it: tables, and the trigger that keeps history as it was written.

There is no CHECK on `events`: each would be parsed anew with every batch, and the append function is the only way in.

Text is compared bytewise (COLLATE "C"): names are compared for equality only, and indexes survive a new libc.
"""

from alembic import op

revision = "0001"
down_revision = None

EVENTS = """
CREATE TABLE events (
    position bigint NOT NULL,
    tenant_seq bigint NOT NULL,
    version bigint NOT NULL,
    recorded_at bigint NOT NULL,
    event_id uuid NOT NULL,
    slot smallint NOT NULL,
    payload_format smallint NOT NULL,
    leaf_version smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    leaf_hash bytea NOT NULL,
    metadata bytea NOT NULL,
    payload bytea NOT NULL,
    CONSTRAINT events_position PRIMARY KEY (position),
    CONSTRAINT events_stream_version UNIQUE (tenant, stream, version),
    CONSTRAINT events_tenant_seq UNIQUE (tenant, tenant_seq),
    CONSTRAINT events_event_id UNIQUE (event_id)
) WITH (toast_tuple_target = 8160)
"""

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The log is append-only: % on % is refused.', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
END $$
"""

APPEND_ONLY = """
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""

IDEMPOTENCY = """
CREATE TABLE idempotency (
    created_at bigint NOT NULL,
    position bigint NOT NULL,
    version bigint NOT NULL,
    status smallint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    actor text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    fingerprint bytea NOT NULL,
    answer bytea NOT NULL,
    CONSTRAINT idempotency_key PRIMARY KEY (key, actor, tenant)
)
"""

IDEMPOTENCY_AGE = "CREATE INDEX idempotency_created_at ON idempotency USING brin (created_at)"

CLAIMS = """
CREATE TABLE claims (
    position bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    CONSTRAINT claims_key PRIMARY KEY (tenant, kind, key)
)
"""

ERASED_SUBJECTS = """
CREATE TABLE erased_subjects (
    erased_at bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    CONSTRAINT erased_subjects_subject PRIMARY KEY (tenant, subject)
)
"""

SNAPSHOTS = """
CREATE TABLE snapshots (
    version bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    purpose text COLLATE "C" NOT NULL,
    stream text COLLATE "C" NOT NULL,
    topic text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    CONSTRAINT snapshots_stream_version PRIMARY KEY (tenant, purpose, stream, version)
)
"""

TRACKING = """
CREATE TABLE tracking (
    notification_id bigint NOT NULL,
    owner text COLLATE "C" NOT NULL,
    application_name text COLLATE "C" NOT NULL,
    CONSTRAINT tracking_application PRIMARY KEY (owner, application_name)
)
"""

INSTALLATION = """
CREATE TABLE installation (
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    epoch integer NOT NULL DEFAULT 1,
    partitions integer NOT NULL,
    only_row boolean NOT NULL DEFAULT true,
    CONSTRAINT installation_only_row PRIMARY KEY (only_row),
    CONSTRAINT installation_has_one_row CHECK (only_row),
    CONSTRAINT installation_epoch_positive CHECK (epoch > 0),
    CONSTRAINT installation_partitions_range CHECK (partitions BETWEEN 1 AND 1024)
)
"""


UNCOMPRESSED = """
ALTER TABLE events
    ALTER COLUMN leaf_hash SET STORAGE PLAIN,
    ALTER COLUMN metadata SET STORAGE EXTERNAL,
    ALTER COLUMN payload SET STORAGE EXTERNAL
"""


def upgrade() -> None:
    for statement in (EVENTS, UNCOMPRESSED, REFUSE_CHANGE, APPEND_ONLY, IDEMPOTENCY, IDEMPOTENCY_AGE, CLAIMS):
        op.execute(statement)
    for statement in (ERASED_SUBJECTS, SNAPSHOTS, TRACKING, INSTALLATION):
        op.execute(statement)
