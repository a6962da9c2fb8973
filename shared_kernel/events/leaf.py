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
    fields = (
        struct.pack(">q", position),
        tenant.encode(),
        struct.pack(">q", tenant_seq),
        stream.encode(),
        struct.pack(">q", version),
        topic.encode(),
        struct.pack(">h", payload_format),
        event_id.bytes,
        struct.pack(">q", recorded_at),
        hashlib.sha256(metadata).digest(),
        hashlib.sha256(payload).digest(),
    )
    return hashlib.sha256(b"\x00" + DOMAIN + b"".join(struct.pack(">I", len(f)) + f for f in fields)).digest()


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
