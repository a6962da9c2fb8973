"""Stores that hold events before anybody is measured: valid rows, made by the server itself."""

from collections.abc import Callable

import psycopg

from command_service.infrastructure import schema
from tests.benchmarks.contestants import TOPIC, Load, recorder_of
from tests.benchmarks.rivals import PLAIN, emmett, install_message_db

# Streams and ids ascend, as UUIDv7 do: an index of ours grows at its end.
_NUMBERED = """
FROM generate_series(1, %(count)s) n,
LATERAL (SELECT lpad(to_hex(n), 32, '0')) AS x (hex),
LATERAL (SELECT 'resources-' || x.hex) AS s (stream)
"""

_OURS = f"""
INSERT INTO events (position, tenant_seq, version, recorded_at, event_id, slot, payload_format, leaf_version,
    tenant, stream, topic, leaf_hash, metadata, payload)
SELECT n, n, 1, n, x.hex::uuid, slot_v1(sha256(convert_to('default' || s.stream, 'UTF8'))), 1, 1,
    'default', s.stream, %(topic)s,
    leaf_hash_v1(n, 'default', n, s.stream, 1, %(topic)s, 1::smallint, x.hex::uuid, n, '{{}}', %(payload)s),
    '{{}}', %(payload)s
{_NUMBERED}
"""

_PLAIN = f"""
INSERT INTO plain (stream, version, topic, payload, metadata, event_id)
SELECT s.stream, 1, %(topic)s, %(payload)s, '{{}}', x.hex::uuid {_NUMBERED}
"""

_LIBRARY = f"""
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT x.hex::uuid, 1, %(topic)s, %(payload)s {_NUMBERED}
"""

_MESSAGE_DB = f"""
INSERT INTO message_store.messages (id, stream_name, position, type, data)
SELECT x.hex::uuid, s.stream, 0, %(topic)s, convert_from(%(payload)s, 'UTF8')::jsonb {_NUMBERED}
"""

_EMMETT = f"""
WITH streams AS (
    INSERT INTO emt_streams (stream_id, stream_position, partition, stream_type, stream_metadata)
    SELECT s.stream, 1, 'emt:default', 'resources', '{{}}' {_NUMBERED})
INSERT INTO emt_messages (stream_position, transaction_id, stream_id, partition, message_schema_version, message_id,
    message_type, message_data, message_metadata)
SELECT 1, pg_current_xact_id(), s.stream, 'emt:default', '1', x.hex::uuid::text, %(topic)s,
    convert_from(%(payload)s, 'UTF8')::jsonb, '{{}}' {_NUMBERED}
"""


def _schema_of_ours(load: Load) -> None:
    schema.upgrade(load.url, None)


def _schema_of_library(load: Load) -> None:
    with recorder_of("eventsourcing.postgres", load):
        pass


def _schema_of_plain(load: Load) -> None:
    with psycopg.connect(load.url) as connection:
        connection.execute(PLAIN)


def _schema_of_message_db(load: Load) -> None:
    install_message_db(load.url)


def _schema_of_emmett(load: Load) -> None:
    emmett(Load(load.url, 1, 0.01))


Filling = tuple[str, Callable[[Load], None], str]

_FILLINGS: dict[str, Filling] = {
    "ours": ("events", _schema_of_ours, _OURS),
    "library": ("stored_events", _schema_of_library, _LIBRARY),
    "plain": ("plain", _schema_of_plain, _PLAIN),
    "message-db": ("message_store.messages", _schema_of_message_db, _MESSAGE_DB),
    "emmett": ("emt_messages", _schema_of_emmett, _EMMETT),
}

_STORES = {"library-unsafe": "library", "plain-insert": "plain", "copy": "plain"}
_STORES |= dict.fromkeys(("persistence-module", "events-only", "everything", "read-by-id"), "ours")


def store_of(contestant: str) -> str:
    """Contestants that share a store share the time that filling it takes."""
    return _STORES.get(contestant, contestant)


def fill(store: str, load: Load) -> None:
    """Put `load.events` events into an empty store."""
    table, make_schema, statement = _FILLINGS[store]
    make_schema(load)
    with psycopg.connect(load.url, autocommit=True) as connection:
        values = {"count": load.events, "topic": TOPIC, "payload": load.payload}
        connection.execute(statement.encode(), values)
        connection.execute(f"VACUUM ANALYZE {table}".encode())
