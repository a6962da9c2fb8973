"""What operators ask of the read models, how rebuilds go, and events that a read model is to do without."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BOOKKEEPING = """
CREATE TABLE public.orders (
    position     bigint      NOT NULL,
    epoch        bigint      NOT NULL,
    projection   text        NOT NULL,
    action       text        NOT NULL,
    details      jsonb       NOT NULL,
    actor        text        NOT NULL,
    state        text        NOT NULL DEFAULT 'waiting',
    outcome      text        NOT NULL DEFAULT '',
    heard_at     timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz,
    CONSTRAINT orders_pk PRIMARY KEY (epoch, position),
    CONSTRAINT orders_state_ck CHECK (state IN ('waiting', 'done', 'refused'))
);
CREATE INDEX orders_waiting_ix ON public.orders (epoch, position) WHERE state = 'waiting';
CREATE TABLE public.orders_heard (
    singleton  boolean NOT NULL DEFAULT true,
    epoch      bigint  NOT NULL,
    position   bigint  NOT NULL,
    CONSTRAINT orders_heard_pk PRIMARY KEY (singleton),
    CONSTRAINT orders_heard_one_row_ck CHECK (singleton)
);
CREATE TABLE public.rebuilds (
    projection      text             NOT NULL,
    generation      text             NOT NULL,
    at_once         boolean          NOT NULL,
    state           text             NOT NULL,
    reason          text             NOT NULL DEFAULT '',
    difference      jsonb,
    started_at      timestamptz      NOT NULL DEFAULT now(),
    going_since     timestamptz      NOT NULL DEFAULT now(),
    worked_seconds  double precision NOT NULL DEFAULT 0,
    CONSTRAINT rebuilds_pk PRIMARY KEY (projection),
    CONSTRAINT rebuilds_generation_ck CHECK (generation IN ('blue', 'green')),
    CONSTRAINT rebuilds_state_ck CHECK (state IN ('running', 'paused', 'built', 'switched', 'cancelled'))
);
CREATE TABLE public.skipped_events (
    projection  text        NOT NULL,
    position    bigint      NOT NULL,
    partition   integer     NOT NULL,
    tenant      text        NOT NULL,
    stream      text        NOT NULL,
    topic       text        NOT NULL,
    reason      text        NOT NULL,
    actor       text        NOT NULL,
    skipped_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT skipped_events_pk PRIMARY KEY (projection, position)
);
ALTER TABLE public.parked_events ADD COLUMN tried_at timestamptz NOT NULL DEFAULT now();
"""

READ_MODEL = """
CREATE TABLE {generation}.operations (
    tenant       text        NOT NULL,
    position     bigint      NOT NULL,
    projection   text        NOT NULL,
    action       text        NOT NULL,
    actor        text        NOT NULL,
    reason       text        NOT NULL,
    recorded_at  timestamptz NOT NULL,
    CONSTRAINT operations_pk PRIMARY KEY (tenant, position)
);
CREATE INDEX operations_projection_ix ON {generation}.operations (projection, position);
"""


def upgrade() -> None:
    op.execute(BOOKKEEPING)
    for generation in ("blue", "green"):
        op.execute(READ_MODEL.format(generation=generation))
