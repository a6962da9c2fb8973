"""A way to the roles that were withdrawn lately, which every process asks for twice a second."""

from alembic import op

revision = "0011"
down_revision = "0010"
works_since = "0007"

BROKEN_OFF = "DROP INDEX CONCURRENTLY IF EXISTS events_withdrawn_roles"
INDEX = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS events_withdrawn_roles ON events (recorded_at, position)
    WHERE topic = 'access.RoleWithdrawn.v1'
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(BROKEN_OFF)
        op.execute(INDEX)
