"""What the log adds up to at every thousandth position: the side of the books that read models are held against."""

from alembic import op

revision = "0007"
down_revision = "0006"

LOG_SUMS = """
CREATE TABLE log_sums (
    position bigint NOT NULL,
    sums numeric(78)[] NOT NULL,
    CONSTRAINT log_sums_position PRIMARY KEY (position)
)
"""


def upgrade() -> None:
    op.execute(LOG_SUMS)
