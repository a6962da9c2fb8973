"""One event as a Redis Streams entry: CloudEvents 1.0 attributes as fields, the stored bytes untouched.

Entry id `<epoch>-<position>`. `previous` is the position of the event before it in the same partition
(0 for the first), so a reader sees a hole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from shared_kernel.clock import rfc3339
from shared_kernel.events.envelope import StoredRow

SOURCE = b"/twinlog/command"
CONTENT_TYPES = {0: b"application/octet-stream", 1: b"application/json"}
_FORMATS = {content_type: number for number, content_type in CONTENT_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the log on its way, with its epoch and its predecessor in the partition."""

    epoch: int
    previous: int
    row: StoredRow

    @property
    def entry_id(self) -> str:
        return f"{self.epoch}-{self.row.position}"


def words(message: Message) -> tuple[bytes, ...]:
    """The entry's fields as they are sent, name and value in turn; `ce_*` are CloudEvents attributes and extensions.

    (Lower-case names without separators.)
    """
    row = message.row
    return (
        *_attributes(row),
        b"ce_epoch",
        b"%d" % message.epoch,
        b"ce_position",
        b"%d" % row.position,
        b"ce_previous",
        b"%d" % message.previous,
        b"ce_tenant",
        row.tenant.encode(),
        b"ce_tenantseq",
        b"%d" % row.tenant_seq,
        b"ce_version",
        b"%d" % row.version,
        b"ce_recordedat",
        b"%d" % row.recorded_at,
        b"ce_slot",
        b"%d" % row.slot,
        b"ce_leafversion",
        b"%d" % row.leaf_version,
        b"ce_leafhash",
        row.leaf_hash.hex().encode(),
        b"metadata",
        row.metadata,
        b"data",
        row.payload,
    )


def _attributes(row: StoredRow) -> tuple[bytes, ...]:
    """Those that every CloudEvent has."""
    return (
        b"ce_specversion",
        b"1.0",
        b"ce_id",
        str(row.event_id).encode(),
        b"ce_source",
        SOURCE,
        b"ce_type",
        row.topic.encode(),
        b"ce_subject",
        row.stream.encode(),
        b"ce_time",
        rfc3339(row.recorded_at).encode(),
        b"ce_datacontenttype",
        CONTENT_TYPES[row.payload_format],
    )


def encode(message: Message) -> dict[bytes, bytes]:
    """The entry's fields by name."""
    flat = words(message)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def decode(fields: Mapping[bytes, bytes]) -> Message:
    """The reverse of `encode`. Raises KeyError or ValueError for anything else."""
    return Message(
        epoch=int(fields[b"ce_epoch"]),
        previous=int(fields[b"ce_previous"]),
        row=StoredRow(
            position=int(fields[b"ce_position"]),
            tenant=fields[b"ce_tenant"].decode(),
            tenant_seq=int(fields[b"ce_tenantseq"]),
            stream=fields[b"ce_subject"].decode(),
            version=int(fields[b"ce_version"]),
            topic=fields[b"ce_type"].decode(),
            payload_format=_FORMATS[fields[b"ce_datacontenttype"]],
            payload=fields[b"data"],
            metadata=fields[b"metadata"],
            event_id=UUID(fields[b"ce_id"].decode()),
            recorded_at=int(fields[b"ce_recordedat"]),
            slot=int(fields[b"ce_slot"]),
            leaf_version=int(fields[b"ce_leafversion"]),
            leaf_hash=bytes.fromhex(fields[b"ce_leafhash"].decode()),
        ),
    )
