"""One snapshot for each stream, the newest; and an archived stream takes no more appends.

The append function stays as it was in 0008 but for one expression: a stream that ends with its archiving stands at no
version that anybody can expect, so each append to it is stale. That costs nothing: whether the newest event of a stream
can be seen is read from its row anyway.
"""

import runpy
from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
works_since = "0007"

KEEP_SNAPSHOT = """
CREATE FUNCTION keep_snapshot_v1(
    for_tenant text, for_purpose text, of_stream text, at_version bigint, of_topic text, new_state bytea
) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
BEGIN ATOMIC
    DELETE FROM snapshots s
    WHERE s.tenant = for_tenant AND s.purpose = for_purpose AND s.stream = of_stream AND s.version <> at_version;
    INSERT INTO snapshots (version, tenant, purpose, stream, topic, state)
    VALUES (at_version, for_tenant, for_purpose, of_stream, of_topic, new_state)
    ON CONFLICT ON CONSTRAINT snapshots_stream_version DO UPDATE SET topic = EXCLUDED.topic, state = EXCLUDED.state;
END
"""

EARLIER = "0008_append_faster.py"

BEFORE = """
                SELECT e.version FROM events e
                WHERE e.tenant = tenants[i.tenant] AND e.stream = i.stream ORDER BY e.version DESC LIMIT 1), 0))
"""

AFTER = """
                SELECT CASE e.topic WHEN 'archiving.StreamArchived.v1' THEN -1 ELSE e.version END FROM events e
                WHERE e.tenant = tenants[i.tenant] AND e.stream = i.stream ORDER BY e.version DESC LIMIT 1), 0))
"""


def append_function() -> str:
    earlier: str = runpy.run_path(str(Path(__file__).with_name(EARLIER)))["APPEND"]
    if earlier.count(BEFORE) != 1:
        raise ValueError(f"{EARLIER} is not what it was")
    return earlier.replace(BEFORE, AFTER)


def upgrade() -> None:
    op.execute(KEEP_SNAPSHOT)
    op.execute("REVOKE ALL ON FUNCTION keep_snapshot_v1 FROM PUBLIC")
    op.execute(append_function())
