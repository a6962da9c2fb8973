"""What became of sessions: when they were last used, where from, and when and why they ended."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SESSIONS = """
ALTER TABLE {generation}.sessions
    ADD COLUMN used_at timestamptz,
    ADD COLUMN device text,
    ADD COLUMN network text,
    ADD COLUMN ended_at timestamptz,
    ADD COLUMN end_reason text
"""
ENDED = """
CREATE INDEX sessions_ended_ix ON {generation}.sessions (ended_at) WHERE ended_at IS NOT NULL
"""


def upgrade() -> None:
    for generation in ("blue", "green"):
        op.execute(SESSIONS.format(generation=generation))
        op.execute(ENDED.format(generation=generation))
