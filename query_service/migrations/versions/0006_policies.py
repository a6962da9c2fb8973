"""The tenants' own policies, removed ones too: whoever reads what is new must see that one has gone."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

POLICIES = """
CREATE TABLE {generation}.policies (
    tenant text NOT NULL,
    id uuid NOT NULL,
    version bigint NOT NULL,
    created_position bigint NOT NULL,
    changed_position bigint NOT NULL,
    role text NOT NULL,
    permission text NOT NULL,
    condition text NOT NULL,
    effect text NOT NULL,
    added_by text NOT NULL,
    added_at timestamptz NOT NULL,
    removed_at timestamptz,
    CONSTRAINT policies_pk PRIMARY KEY (tenant, id)
);
CREATE INDEX policies_changed_ix ON {generation}.policies (changed_position);
CREATE INDEX policies_listed_ix ON {generation}.policies (tenant, created_position);
"""


def upgrade() -> None:
    for generation in ("blue", "green"):
        op.execute(POLICIES.format(generation=generation))
