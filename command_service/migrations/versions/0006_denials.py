"""A way to the sessions that have just ended, which every process asks for twice a second."""

from alembic import op

revision = "0006"
down_revision = "0005"

ENDED_SESSIONS = """
CREATE INDEX events_ended_sessions ON events (recorded_at, position) WHERE topic = 'sessions.SessionEnded.v1'
"""


def upgrade() -> None:
    op.execute(ENDED_SESSIONS)
