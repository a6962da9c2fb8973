"""The first release: a read model of shelves, whose column is called `name`."""

from alembic import op

revision = "0001"
down_revision = None

SHELVES = """
CREATE TABLE shelves (
    id    bigint NOT NULL,
    name  text   NOT NULL,
    CONSTRAINT shelves_pk PRIMARY KEY (id)
)
"""


def upgrade() -> None:
    op.execute(SHELVES)
