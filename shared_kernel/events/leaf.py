"""The leaf hash of one event, over the bytes that are stored (docs/architecture/log-format.md).

    leaf = SHA-256( 0x00 || "twinlog/event/v1" || field_1 || ... || field_11 )
    field = length in bytes (4, big-endian) || bytes

Over stored bytes: destroying the key of an encrypted field later leaves every leaf valid.
"""

import hashlib
import struct
from uuid import UUID

from shared_kernel.events.envelope import StoredRow

LEAF_VERSION = 1
DOMAIN = b"twinlog/event/v1"

_START = b"\x00" + DOMAIN
_LENGTH = struct.Struct(">I").pack
_LONG = struct.Struct(">Iq").pack
_SHORT_THEN_16 = struct.Struct(">IhI").pack
_LONG_THEN_32 = struct.Struct(">IqI").pack
_32 = _LENGTH(32)


def leaf_hash(  # the arguments are the format's fields, in the format's order
    *,
    position: int,
    tenant: str,
    tenant_seq: int,
    stream: str,
    version: int,
    topic: str,
    payload_format: int,
    event_id: UUID,
    recorded_at: int,
    metadata: bytes,
    payload: bytes,
) -> bytes:
    """32 bytes. Integers are signed big-endian: 8 bytes, `payload_format` 2."""
    named, told, of_topic = tenant.encode(), stream.encode(), topic.encode()
    parts = (
        _START,
        _LONG(8, position),
        _LENGTH(len(named)),
        named,
        _LONG(8, tenant_seq),
        _LENGTH(len(told)),
        told,
        _LONG(8, version),
        _LENGTH(len(of_topic)),
        of_topic,
        _SHORT_THEN_16(2, payload_format, 16),
        event_id.bytes,
        _LONG_THEN_32(8, recorded_at, 32),
        hashlib.sha256(metadata).digest(),
        _32,
        hashlib.sha256(payload).digest(),
    )
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_of(row: StoredRow) -> bytes:
    """The leaf hash that this row must carry."""
    return leaf_hash(
        position=row.position,
        tenant=row.tenant,
        tenant_seq=row.tenant_seq,
        stream=row.stream,
        version=row.version,
        topic=row.topic,
        payload_format=row.payload_format,
        event_id=row.event_id,
        recorded_at=row.recorded_at,
        metadata=row.metadata,
        payload=row.payload,
    )
