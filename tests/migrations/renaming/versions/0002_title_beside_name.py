"""Expand: the second release says `title`; both columns are kept in step for as long as both releases run.

It commits on its way, so it may be broken off anywhere and run again: each statement bears being repeated.
"""

from alembic import op
from sqlalchemy import text

revision = "0002"
down_revision = "0001"
works_since = "0001"

COLUMN = "ALTER TABLE shelves ADD COLUMN IF NOT EXISTS title text"

IN_STEP = """
CREATE OR REPLACE FUNCTION shelves_in_step() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.title := COALESCE(NEW.title, NEW.name);
        NEW.name := COALESCE(NEW.name, NEW.title);
    ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
        NEW.title := NEW.name;
    ELSIF NEW.title IS DISTINCT FROM OLD.title THEN
        NEW.name := NEW.title;
    END IF;
    RETURN NEW;
END $$
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER shelves_in_step BEFORE INSERT OR UPDATE ON shelves
FOR EACH ROW EXECUTE FUNCTION shelves_in_step()
"""

FILL = """
UPDATE shelves SET title = name
WHERE id IN (SELECT id FROM shelves WHERE title IS NULL ORDER BY id LIMIT 200 FOR UPDATE)
"""
BATCHES_AT_MOST = 100_000

FORGET = "ALTER TABLE shelves DROP CONSTRAINT IF EXISTS shelves_title_given"
PROMISE = "ALTER TABLE shelves ADD CONSTRAINT shelves_title_given CHECK (title IS NOT NULL) NOT VALID"
PROVE = "ALTER TABLE shelves VALIDATE CONSTRAINT shelves_title_given"


def upgrade() -> None:
    for statement in (COLUMN, IN_STEP, TRIGGER, FORGET, PROMISE):
        op.execute(statement)
    with op.get_context().autocommit_block():  # short transactions: nobody waits for the whole table
        fill_in_batches()
    op.execute(PROVE)


def fill_in_batches() -> None:
    if op.get_context().as_sql:
        op.execute(FILL)
        return
    for _ in range(BATCHES_AT_MOST):
        if op.get_bind().execute(text(FILL)).rowcount == 0:
            return
    raise RuntimeError("somebody adds rows faster than they are filled in")
