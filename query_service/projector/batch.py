"""What one transaction handles: consecutive events of one or more partitions, checked against their own hashes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from shared_kernel.errors import TwinlogError
from shared_kernel.events.completeness import term
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.leaf import LEAF_VERSION, leaf_of
from shared_kernel.messaging.partition import partition_of, slot_of

AT_MOST = 4
AT_LEAST = 500
"""How many transactions at once, and how many events make one of them worth while."""


class NotTheLog(TwinlogError):
    """What arrived is not what the log holds; this partition stands still until an operator has looked."""


@dataclass(frozen=True, slots=True)
class Slice:
    """All events of a partition after position `after`, up to some point, in order; at least one."""

    partition: int
    after: int
    epoch: int
    rows: Sequence[StoredRow]

    @property
    def upto(self) -> int:
        return self.rows[-1].position


def require_sound(events: Slice, partitions: int) -> None:
    """Raises NotTheLog unless each event has its right hash, belongs here and comes after the one before."""
    previous = events.after
    for row in events.rows:
        if row.position <= previous:
            raise NotTheLog(f"Position {row.position} of partition {events.partition} came after {previous}.")
        if row.leaf_version != LEAF_VERSION or _leaf_of(row) != row.leaf_hash:
            raise NotTheLog(f"The event at position {row.position} was changed: its leaf hash does not fit its bytes.")
        slot = slot_of(row.tenant, row.stream)
        if row.slot != slot or partition_of(slot, partitions) != events.partition:
            raise NotTheLog(f"The event at position {row.position} does not belong to partition {events.partition}.")
        previous = row.position


def _leaf_of(row: StoredRow) -> bytes:
    """Nothing for what cannot even be hashed: a number or a text that no log can hold."""
    try:
        return leaf_of(row)
    except (struct.error, UnicodeEncodeError):
        return b""


def shares(slices: Sequence[Slice]) -> Sequence[Sequence[Slice]]:
    """What may be handled side by side: one transaction for what is little, a few of about the same size for much."""
    count = min(AT_MOST, len(slices), max(1, sum(len(events.rows) for events in slices) // AT_LEAST))
    found: list[list[Slice]] = [[] for _ in range(count)]
    for events in sorted(slices, key=lambda events: -len(events.rows)):
        min(found, key=_weight).append(events)
    return found


def _weight(slices: Sequence[Slice]) -> int:
    return sum(len(events.rows) for events in slices)


def digest(row: StoredRow) -> int:
    """The event's term in the order-free sum of handled events: SHA-256(position || leaf), position as 8 bytes."""
    return term(row.position, row.leaf_hash)
