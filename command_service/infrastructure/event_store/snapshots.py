"""The library's aggregate recorder for what is not history: snapshots, and anything else with a purpose of its own."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, StoredEvent
from psycopg import sql

from command_service.infrastructure.event_store.log import DEFAULT_TENANT, Log
from command_service.infrastructure.event_store.recorder import LogReader

_SAVE = "SELECT {schema}.save_snapshots_v1(%s, %s, %s, %s, %s, %s)"

_SNAPSHOTS = """
SELECT stream, version, topic, state FROM {schema}.snapshots WHERE tenant = %s AND purpose = %s AND stream = %s
    AND version > %s AND version <= %s ORDER BY version {order} LIMIT %s
"""


class SnapshotRecorder(LogReader, AggregateRecorder):
    """Keeps stored events beside the log, where they get no position."""

    def __init__(self, log: Log, purpose: str) -> None:
        super().__init__(log)
        self.purpose = purpose

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        if stored_events:
            streams = [self.log.stream_of(event.originator_id) for event in stored_events]
            versions = [event.originator_version for event in stored_events]
            topics = [event.topic for event in stored_events]
            states = [bytes(event.state) for event in stored_events]
            self._fetch(_SAVE, (DEFAULT_TENANT, self.purpose, streams, versions, topics, states))
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        bounds = (-(2**63) if gt is None else gt, 2**63 - 1 if lte is None else lte)
        rows = self._fetch(
            _SNAPSHOTS,
            (DEFAULT_TENANT, self.purpose, self.log.stream_of(originator_id), *bounds, limit),
            order=sql.SQL("DESC" if desc else "ASC"),
        )
        return [StoredEvent(self.log.originator_of(row[0]), *row[1:]) for row in rows]
