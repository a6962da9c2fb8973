"""Whether an account is active or suspended, since when and why."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
works_since = "0004"

STATE = """
ALTER TABLE {generation}.users
    ADD COLUMN state text NOT NULL DEFAULT 'active',
    ADD COLUMN suspended_at timestamptz,
    ADD COLUMN suspension_reason text
"""


def upgrade() -> None:
    for generation in ("blue", "green"):
        op.execute(STATE.format(generation=generation))
