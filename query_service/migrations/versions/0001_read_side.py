"""The audit copy, checkpoints, parked events, and the first read models in both generations."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

AUDIT_COPY = """
CREATE TABLE public.audit_events (
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
    actor           text,
    correlation_id  text,
    CONSTRAINT audit_events_position_pk PRIMARY KEY (position),
    CONSTRAINT audit_events_stream_version_uq UNIQUE (tenant, stream, version)
);
CREATE INDEX audit_events_tenant_ix ON public.audit_events (tenant, position);
CREATE INDEX audit_events_recorded_at_ix ON public.audit_events (tenant, recorded_at, position);
CREATE INDEX audit_events_topic_ix ON public.audit_events (tenant, topic, position);
CREATE INDEX audit_events_actor_ix ON public.audit_events (tenant, actor, position);
CREATE INDEX audit_events_correlation_ix ON public.audit_events (tenant, correlation_id, position);
"""

BOOKKEEPING = """
CREATE TABLE public.projections (
    name              text        NOT NULL,
    active            text        NOT NULL DEFAULT 'blue',
    version           integer     NOT NULL,
    switched_at       timestamptz NOT NULL DEFAULT now(),
    shadow_version    integer,
    shadow_built_at   timestamptz,
    CONSTRAINT projections_pk PRIMARY KEY (name),
    CONSTRAINT projections_active_ck CHECK (active IN ('blue', 'green'))
);
CREATE TABLE public.checkpoints (
    projection   text        NOT NULL,
    generation   text        NOT NULL,
    partition    integer     NOT NULL,
    position     bigint      NOT NULL DEFAULT 0,
    epoch        bigint      NOT NULL,
    handled_sum  numeric(78) NOT NULL DEFAULT 0,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT checkpoints_pk PRIMARY KEY (projection, generation, partition),
    CONSTRAINT checkpoints_generation_ck CHECK (generation IN ('blue', 'green'))
);
CREATE TABLE public.log_mark (
    singleton  boolean  NOT NULL DEFAULT true,
    epoch      bigint   NOT NULL,
    head       bigint   NOT NULL,
    last       bigint[] NOT NULL,
    at         bigint   NOT NULL,
    CONSTRAINT log_mark_pk PRIMARY KEY (singleton),
    CONSTRAINT log_mark_one_row_ck CHECK (singleton)
);
CREATE TABLE public.parked_events (
    projection   text        NOT NULL,
    generation   text        NOT NULL,
    partition    integer     NOT NULL,
    tenant       text        NOT NULL,
    stream       text        NOT NULL,
    version      bigint      NOT NULL,
    position     bigint      NOT NULL,
    topic        text        NOT NULL,
    reason       text        NOT NULL,
    fingerprint  text        NOT NULL,
    attempts     integer     NOT NULL DEFAULT 1,
    parked_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT parked_events_pk PRIMARY KEY (projection, generation, position),
    CONSTRAINT parked_events_generation_ck CHECK (generation IN ('blue', 'green'))
);
CREATE INDEX parked_events_stream_ix ON public.parked_events (projection, generation, tenant, stream, position);
"""

READ_MODELS = """
CREATE SCHEMA {generation};
CREATE TABLE {generation}.resources (
    tenant            text        NOT NULL,
    id                uuid        NOT NULL,
    version           bigint      NOT NULL,
    created_position  bigint      NOT NULL,
    name              text        NOT NULL,
    description       text        NOT NULL,
    classification    text        NOT NULL,
    attributes        jsonb       NOT NULL,
    tags              jsonb       NOT NULL,
    owner             uuid        NOT NULL,
    state             text        NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT resources_pk PRIMARY KEY (tenant, id)
) WITH (fillfactor = 85);
CREATE INDEX resources_created_ix ON {generation}.resources (tenant, created_position);
CREATE INDEX resources_owner_ix ON {generation}.resources (tenant, owner, created_position);
CREATE INDEX resources_name_ix ON {generation}.resources (tenant, lower(name) text_pattern_ops);
CREATE INDEX resources_tags_ix ON {generation}.resources USING gin (tags jsonb_path_ops);
CREATE TABLE {generation}.users (
    tenant            text        NOT NULL,
    id                uuid        NOT NULL,
    version           bigint      NOT NULL,
    created_position  bigint      NOT NULL,
    email             text        NOT NULL,
    name              text        NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT users_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX users_created_ix ON {generation}.users (tenant, created_position);
CREATE TABLE {generation}.sessions (
    tenant            text        NOT NULL,
    id                uuid        NOT NULL,
    version           bigint      NOT NULL,
    created_position  bigint      NOT NULL,
    user_id           uuid        NOT NULL,
    methods           jsonb       NOT NULL,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    CONSTRAINT sessions_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX sessions_user_ix ON {generation}.sessions (tenant, user_id, created_position);
CREATE TABLE {generation}.role_bindings (
    tenant      text        NOT NULL,
    user_id     uuid        NOT NULL,
    role        text        NOT NULL,
    granted_by  text        NOT NULL,
    granted_at  timestamptz NOT NULL,
    CONSTRAINT role_bindings_pk PRIMARY KEY (tenant, user_id, role)
);
CREATE TABLE {generation}.stream_owners (
    tenant  text NOT NULL,
    stream  text NOT NULL,
    owner   uuid NOT NULL,
    CONSTRAINT stream_owners_pk PRIMARY KEY (tenant, stream)
);
CREATE INDEX stream_owners_owner_ix ON {generation}.stream_owners (tenant, owner, stream);
"""


def upgrade() -> None:
    op.execute(AUDIT_COPY)
    op.execute(BOOKKEEPING)
    for generation in ("blue", "green"):
        op.execute(READ_MODELS.format(generation=generation))
