"""A way to the tenants' policies, which every process asks for twice a second."""

from alembic import op

revision = "0009"
down_revision = "0008"

BROKEN_OFF = "DROP INDEX CONCURRENTLY IF EXISTS events_policies"
POLICIES = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_policies ON events (position)
    WHERE topic IN ('policies.PolicyAdded.v1', 'policies.PolicyRemoved.v1')
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(BROKEN_OFF)
        op.execute(POLICIES)
