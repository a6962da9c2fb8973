"""A log in memory: rows with right slots, sequences and leaf hashes, made without a command service."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from shared_kernel.clock import microseconds
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import JSON, Metadata, StoredRow
from shared_kernel.events.leaf import LEAF_VERSION, leaf_of
from shared_kernel.messaging.mark import Mark
from shared_kernel.messaging.message import Message
from shared_kernel.messaging.partition import partition_of, slot_of

PARTITIONS = 8
EPOCH = 1
METADATA = Metadata(actor="system:test", correlation_id="test", occurred_at="2026-03-12T12:00:00.000000Z").encode()


@dataclass(slots=True)
class History:
    """What a command service would have stored, and how its relay would publish it."""

    epoch: int = EPOCH
    partitions: int = PARTITIONS
    rows: list[StoredRow] = field(default_factory=list)
    _versions: Counter[tuple[str, str]] = field(default_factory=Counter)
    _sequences: Counter[str] = field(default_factory=Counter)

    def append(self, stream: str, *events: Event, tenant: str = "default") -> list[StoredRow]:
        """Store events at the end."""
        return [self.append_bytes(stream, e.TOPIC, e.model_dump_json().encode(), tenant=tenant) for e in events]

    def append_bytes(self, stream: str, topic: str, payload: bytes, *, tenant: str = "default") -> StoredRow:
        """Store one event whatever its topic and payload."""
        self._versions[tenant, stream] += 1
        self._sequences[tenant] += 1
        row = StoredRow(
            position=len(self.rows) + 1,
            tenant=tenant,
            tenant_seq=self._sequences[tenant],
            stream=stream,
            version=self._versions[tenant, stream],
            topic=topic,
            payload_format=JSON,
            payload=payload,
            metadata=METADATA,
            event_id=uuid4(),
            recorded_at=microseconds(datetime.now(UTC)),
            slot=slot_of(tenant, stream),
            leaf_version=LEAF_VERSION,
            leaf_hash=b"",
        )
        self.rows.append(sealed(row))
        return self.rows[-1]

    def restore(self, upto: int) -> None:
        """Lose everything after a position, as a database does that is restored from a backup."""
        del self.rows[upto:]
        self._versions, self._sequences = Counter(), Counter()
        for row in self.rows:
            self._versions[row.tenant, row.stream] += 1
            self._sequences[row.tenant] += 1

    def version(self, stream: str, tenant: str = "default") -> int:
        """That of the newest event of a stream; 0 before the first."""
        return self._versions[tenant, stream]

    def partition(self, row: StoredRow) -> int:
        return partition_of(row.slot, self.partitions)

    def last(self, upto: int | None = None) -> list[int]:
        """The newest position of each partition at or below `upto`."""
        newest = [0] * self.partitions
        for row in self.rows[:upto]:
            newest[self.partition(row)] = row.position
        return newest

    def messages(self, after: int = 0) -> Sequence[Message]:
        """The rows after a position as a relay sends them."""
        newest, found = self.last(after), []
        for row in self.rows[after:]:
            found.append(Message(self.epoch, newest[self.partition(row)], row))
            newest[self.partition(row)] = row.position
        return found

    def mark(self) -> Mark:
        return Mark(self.epoch, len(self.rows), tuple(self.last()), microseconds(datetime.now(UTC)))


def sealed(row: StoredRow) -> StoredRow:
    """The row with the leaf hash that fits it."""
    return row._replace(leaf_hash=leaf_of(row))
