"""Where the relay stands: up to which position the log is published, and where each partition ended there.

It is a memory aid, not a truth: without it the relay computes the same from the log, only more slowly.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

PUBLICATION = """
CREATE TABLE publication (
    position bigint NOT NULL,
    saved_at timestamptz NOT NULL,
    epoch integer NOT NULL,
    only_row boolean NOT NULL DEFAULT true,
    last bigint[] NOT NULL,
    CONSTRAINT publication_only_row PRIMARY KEY (only_row),
    CONSTRAINT publication_has_one_row CHECK (only_row)
)
"""


def upgrade() -> None:
    op.execute(PUBLICATION)
