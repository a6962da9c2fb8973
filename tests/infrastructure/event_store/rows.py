"""Rows of a log as a stranger with a connection reads them."""

import psycopg
from psycopg.rows import args_row

from shared_kernel.events.envelope import StoredRow


def rows_of(url: str) -> list[StoredRow]:
    with psycopg.connect(url) as connection, connection.cursor(row_factory=args_row(StoredRow)) as cursor:
        return cursor.execute("""
            SELECT position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
                recorded_at, slot, leaf_version, leaf_hash FROM events ORDER BY position
        """).fetchall()
