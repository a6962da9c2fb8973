"""Events as the log would hand them to a projection, and the two words in which its folds are told.

given(created, archived).folded_by(PROJECTION).then({"state": "archived", "version": 2})
                                              .then_nothing()
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.clock import microseconds
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import JSON, Metadata, Recorded, StoredRow
from shared_kernel.events.leaf import LEAF_VERSION
from shared_kernel.messaging.partition import slot_of

NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)
"""When every event of these stories is recorded."""

ACTOR = "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02"
TENANT = "acme"


def recorded(event: Event, *, position: int = 1, version: int = 1, stream: str = "things-1") -> Recorded[Any]:
    """The event with all that surrounds it; its bytes do not matter to a fold."""
    metadata = Metadata(actor=ACTOR, correlation_id="c-1", occurred_at="2026-03-12T12:00:00Z")
    row = StoredRow(
        position=position,
        tenant=TENANT,
        tenant_seq=position,
        stream=stream,
        version=version,
        topic=event.TOPIC,
        payload_format=JSON,
        payload=b"",
        metadata=metadata.encode(),
        event_id=UUID(int=position),
        recorded_at=microseconds(NOON),
        slot=slot_of(TENANT, stream),
        leaf_version=LEAF_VERSION,
        leaf_hash=b"",
    )
    return Recorded(event, row, metadata)


@dataclass(frozen=True, slots=True)
class Folded:
    """The rows that a projection has made."""

    rows: Mapping[Key, Row]

    def then(self, *expected: Mapping[str, Any]) -> None:
        """There are exactly as many rows, and each has at least these values."""
        assert len(self.rows) == len(expected)
        for row, values in zip(self.rows.values(), expected, strict=True):
            assert {name: row[name] for name in values} == values

    def then_nothing(self) -> None:
        """No row is left."""
        assert self.rows == {}


@dataclass(frozen=True, slots=True)
class Story:
    """Events of one stream, oldest first."""

    events: Sequence[Event]
    stream: str = field(default="things-1")

    def in_stream(self, stream: str) -> "Story":
        return Story(self.events, stream)

    def folded_by(self, projection: Projection) -> Folded:
        """What the projection makes of them, each row complete at every step."""
        rows: dict[Key, Row] = {}
        for number, event in enumerate(self.events, start=1):
            happened = recorded(event, position=number, version=number, stream=self.stream)
            key = projection.key_of(happened)
            row = projection.folds[type(event)](rows.get(key), happened)
            assert row is None or row.keys() == projection.table.columns.keys()
            rows[key] = row or {}
        return Folded({key: row for key, row in rows.items() if row})


def given(*events: Event) -> Story:
    """What has happened, oldest first."""
    return Story(events)
