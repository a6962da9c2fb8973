"""The feed's wire format: one line of JSON per event, the stored bytes in base64, and the log's facts as headers.

`GET /v1/feed?after=<position>&partition=<n>&limit=<m>` answers the next events of one partition in position order
(without `partition`: of all). The query service shows `Authorization: Bearer <hex of derive(shared_secret, "feed")>`.
"""

import base64
from dataclasses import dataclass
from uuid import UUID

import orjson

from shared_kernel.events.envelope import StoredRow

FEED_PATH = "/v1/feed"
SUMS_PATH = "/v1/feed/sums"
MEDIA_TYPE = "application/jsonl"
EPOCH_HEADER = "Log-Epoch"
HEAD_HEADER = "Log-Head"
PARTITIONS_HEADER = "Log-Partitions"
PAGE_LIMIT = 10_000
"""The largest `limit` that the feed serves in one answer, for readers that take the lines as they come."""
PAGE = 2_000
"""What a reader asks for who keeps the whole answer in memory."""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """Where the log stands: its epoch, its newest position (0: empty) and its number of partitions."""

    epoch: int
    head: int
    partitions: int


def encode(row: StoredRow) -> bytes:
    """One line, ended by a newline."""
    return orjson.dumps(
        {
            "position": row.position,
            "tenant": row.tenant,
            "tenant_seq": row.tenant_seq,
            "stream": row.stream,
            "version": row.version,
            "topic": row.topic,
            "payload_format": row.payload_format,
            "payload": base64.b64encode(row.payload).decode(),
            "metadata": base64.b64encode(row.metadata).decode(),
            "event_id": row.event_id,
            "recorded_at": row.recorded_at,
            "slot": row.slot,
            "leaf_version": row.leaf_version,
            "leaf_hash": row.leaf_hash.hex(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def decode(line: bytes | str) -> StoredRow:
    """The reverse of `encode`. Raises KeyError, TypeError or ValueError for anything else."""
    raw = orjson.loads(line)
    return StoredRow(
        position=int(raw["position"]),
        tenant=raw["tenant"],
        tenant_seq=int(raw["tenant_seq"]),
        stream=raw["stream"],
        version=int(raw["version"]),
        topic=raw["topic"],
        payload_format=int(raw["payload_format"]),
        payload=base64.b64decode(raw["payload"], validate=True),
        metadata=base64.b64decode(raw["metadata"], validate=True),
        event_id=UUID(raw["event_id"]),
        recorded_at=int(raw["recorded_at"]),
        slot=int(raw["slot"]),
        leaf_version=int(raw["leaf_version"]),
        leaf_hash=bytes.fromhex(raw["leaf_hash"]),
    )
