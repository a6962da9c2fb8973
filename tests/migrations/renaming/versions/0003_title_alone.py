"""Contract: the third release is the second one without `name`; it comes when no process of the first one is left."""

from alembic import op

revision = "0003"
down_revision = "0002"
works_since = "0002"


def upgrade() -> None:
    op.execute("DROP TRIGGER shelves_in_step ON shelves")
    op.execute("DROP FUNCTION shelves_in_step()")
    op.execute("ALTER TABLE shelves DROP COLUMN name")
