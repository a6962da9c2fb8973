"""Wrapped data keys of people, and the fence that keeps an erased person from getting a new one."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE subject_keys (
    tenant         text        NOT NULL,
    subject        text        NOT NULL,
    key_id         uuid        NOT NULL,
    wrapped        bytea       NOT NULL,
    kek_generation integer     NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT subject_keys_pk PRIMARY KEY (tenant, subject),
    CONSTRAINT subject_keys_key_id_uq UNIQUE (key_id),
    CONSTRAINT subject_keys_wrapped_ck CHECK (octet_length(wrapped) = 60),
    CONSTRAINT subject_keys_kek_generation_ck CHECK (kek_generation > 0)
);
CREATE TABLE erased_subjects (
    tenant    text        NOT NULL,
    subject   text        NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT erased_subjects_pk PRIMARY KEY (tenant, subject)
);
"""

# A key and a fence for the same person exclude each other by a lock that is held until commit. The check is a
# statement of its own after the lock, so under READ COMMITTED it sees what the other transaction committed.
FENCE = """
CREATE FUNCTION fence_subject() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
AS $function$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.tenant || chr(1) || NEW.subject, 0));
    IF TG_TABLE_NAME = 'subject_keys' THEN
        PERFORM e.subject FROM erased_subjects AS e WHERE e.tenant = NEW.tenant AND e.subject = NEW.subject;
        IF FOUND THEN
            RAISE EXCEPTION 'this subject is erased'
                USING ERRCODE = 'check_violation', CONSTRAINT = 'subject_keys_subject_not_erased',
                      TABLE = 'subject_keys';
        END IF;
    END IF;
    RETURN NEW;
END;
$function$;
CREATE TRIGGER subject_keys_fence BEFORE INSERT ON subject_keys
    FOR EACH ROW EXECUTE FUNCTION fence_subject();
CREATE TRIGGER erased_subjects_fence BEFORE INSERT ON erased_subjects
    FOR EACH ROW EXECUTE FUNCTION fence_subject();
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FENCE)
