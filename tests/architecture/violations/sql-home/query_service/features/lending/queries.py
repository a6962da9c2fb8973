"""A lending desk, planted to break a rule."""

LOCK = "LOCK TABLE loans IN EXCLUSIVE MODE"
WAIT = "SELECT pg_advisory_xact_lock(42)"
TELL = f"NOTIFY {'loans'}"
