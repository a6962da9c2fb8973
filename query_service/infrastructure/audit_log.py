"""The query side's own copy of the log: its rows, and what of them a caller gets to see."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from query_service.infrastructure.listing import Listing
from shared_kernel.clock import rfc3339
from shared_kernel.events.envelope import Metadata, StoredRow
from shared_kernel.events.registry import UnknownTopic
from shared_kernel.feature import Permission
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.payload import REDACTED, PayloadCodec, UnreadablePayload
from shared_kernel.privacy.vault import KeyVault, Pair

READ_PERSONAL = Permission("audit", "read-personal")
"""The right to see personal fields of events in clear; whoever has it is told by the policies of the audit feature."""

ROW_FIELDS = StoredRow._fields
SELECT = """
SELECT a.position, a.tenant, a.tenant_seq, a.stream, a.version, a.topic, a.payload_format, a.payload, a.metadata,
       a.event_id, a.recorded_at, a.slot, a.leaf_version, a.leaf_hash
  FROM public.tenant_events a
"""
HISTORY = Listing(select=SELECT, position="a.position")
"""The events of the log in the order of their positions."""

EXAMPLE: JsonDict = {
    "position": 42,
    "id": "0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c12",
    "stream": "resources-0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c11",
    "version": 2,
    "type": "resources.ResourceArchived.v1",
    "time": "2026-03-12T09:41:12.250000Z",
    "tenant": "default",
    "actor": "0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02",
    "correlation_id": "0197d3a5-6c1d-7f10-b0f2-3b1f2a8f4e77",
    "causation_id": "0197d3a5-5b0f-7a11-9c3d-8e2f4a6b7c88",
    "data": {"resource_id": "0197d3a5-6c1e-7b42-9a53-2f6f0b1d9c11"},
}


class EventView(BaseModel):
    """One event of the log."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [EXAMPLE]})

    position: int
    id: UUID
    stream: str
    version: int
    type: str
    time: Annotated[str, Field(description="when the log recorded it, RFC 3339")]
    tenant: str
    actor: str | None
    correlation_id: str | None
    causation_id: str | None
    data: Annotated[
        dict[str, Any] | None,
        Field(
            description="what happened; personal fields read `[redacted]` for those without a right to them and "
            "`[erased]` once the person has been erased; null when this release cannot read it"
        ),
    ]


class EventList(BaseModel):
    """One page of the log, in the order of positions."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: tuple[EventView, ...]


def stored_row(row: Mapping[str, Any]) -> StoredRow:
    """The event as the log holds it, from a row of SELECT."""
    return StoredRow(**{name: row[name] for name in ROW_FIELDS})


class EventReader:
    """Turns stored rows into views; opens personal fields only where it is told that the caller may see them."""

    def __init__(self, codec: PayloadCodec, vault: KeyVault) -> None:
        self._codec = codec
        self._vault = vault

    async def views(self, rows: Sequence[Mapping[str, Any]], *, personal: bool) -> tuple[EventView, ...]:
        """One view for each row. Raises ServiceUnavailable when the keys of personal fields cannot be fetched."""
        stored = [stored_row(row) for row in rows]
        subjects = [self._subject_of(row) if personal else None for row in stored]
        pairs = {(row.tenant, subject) for row, subject in zip(stored, subjects, strict=True) if subject}
        keys = await self._vault.keys_of(pairs) if pairs else {}
        return tuple(_view(row, self._data(row, subject, keys)) for row, subject in zip(stored, subjects, strict=True))

    def _subject_of(self, row: StoredRow) -> str | None:
        try:
            return self._codec.subject_of(row)
        except (UnknownTopic, UnreadablePayload):
            return None

    def _data(self, row: StoredRow, subject: str | None, keys: Mapping[Pair, SubjectKey]) -> dict[str, Any] | None:
        try:
            if subject is None:
                return self._codec.redacted(row)
            event = self._codec.decode(row, keys.get((row.tenant, subject))).event
            return event.model_dump(mode="json") | dict.fromkeys(event.credential_fields(), REDACTED)
        except (UnknownTopic, UnreadablePayload):
            return None


def _view(row: StoredRow, data: dict[str, Any] | None) -> EventView:
    metadata = _metadata(row)
    return EventView(
        position=row.position,
        id=row.event_id,
        stream=row.stream,
        version=row.version,
        type=row.topic,
        time=rfc3339(row.recorded_at),
        tenant=row.tenant,
        actor=metadata.actor if metadata else None,
        correlation_id=metadata.correlation_id if metadata else None,
        causation_id=metadata.causation_id if metadata else None,
        data=data,
    )


def _metadata(row: StoredRow) -> Metadata | None:
    try:
        return Metadata.decode(row.metadata)
    except ValueError:  # events that came through the persistence module bring none
        return None
