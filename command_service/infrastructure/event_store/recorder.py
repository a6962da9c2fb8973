"""The `eventsourcing` library's recorders over the log."""

from collections.abc import Sequence
from threading import Thread
from typing import Any, LiteralString
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    InterfaceError,
    ListenNotifySubscription,
    Notification,
    OperationalError,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
)
from eventsourcing.utils import retry
from psycopg import sql
from psycopg.rows import tuple_row

from command_service.infrastructure.event_store.log import DEFAULT_TENANT, Log, track_of

CHANNEL = "appended"

_EVENTS = """
SELECT stream, version, topic, payload FROM {schema}.events WHERE tenant = %s AND stream = %s
    AND version > %s AND version <= %s ORDER BY version {order} LIMIT %s
"""

_NOTIFICATIONS = """
SELECT position, stream, version, topic, payload FROM {schema}.events
WHERE tenant = %s AND position >= %s AND position <= %s {topics} ORDER BY position LIMIT %s
"""

_NEWEST = "SELECT position FROM {schema}.events WHERE tenant = %s ORDER BY tenant_seq DESC LIMIT 1"

_TRACKED = "SELECT notification_id FROM {schema}.tracking WHERE owner = %s AND application_name = %s"

_ADVANCE = "SELECT notification_id FROM {schema}.advance_tracking_v1(%s, %s, %s) AS advanced (notification_id)"

_FIRST, _LAST = -(2**63), 2**63 - 1

reads = retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
"""What the library's own recorder does about a connection that is lost while reading."""


class LogReader:
    """Queries over the log's pool."""

    def __init__(self, log: Log) -> None:
        self.log = log

    @reads
    def _fetch(self, query: LiteralString, parameters: Sequence[Any], **parts: sql.Composable) -> list[tuple[Any, ...]]:
        statement = sql.SQL(query).format(schema=sql.Identifier(self.log.schema), **parts)
        with (
            self.log.datastore.get_connection() as connection,
            connection.cursor(binary=True, row_factory=tuple_row) as cursor,
        ):
            return cursor.execute(statement, parameters, prepare=True).fetchall()


class LogAggregateRecorder(LogReader, AggregateRecorder):
    """Streams of events; versions are the caller's, the log only sees to it that each is there once."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        if stored_events:
            self.log.insert(stored_events)
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
        bounds = (_FIRST if gt is None else gt, _LAST if lte is None else lte)
        rows = self._fetch(
            _EVENTS,
            (DEFAULT_TENANT, self.log.stream_of(originator_id), *bounds, limit),
            order=sql.SQL("DESC" if desc else "ASC"),
        )
        return [StoredEvent(self.log.originator_of(row[0]), *row[1:]) for row in rows]


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Streams and the whole log; notification ids are positions: gapless, and in the order of commits."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        return list(self.log.insert(stored_events)) if stored_events else None

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = _FIRST if start is None else start if inclusive_of_start else start + 1
        parameters: list[Any] = [DEFAULT_TENANT, first, _LAST if stop is None else stop]
        if topics:
            parameters.append(list(topics))
        clause = sql.SQL("AND topic = ANY(%s)" if topics else "")
        rows = self._fetch(_NOTIFICATIONS, (*parameters, limit), topics=clause)
        return [
            Notification(self.log.originator_of(stream), version, topic, payload, id=position)
            for position, stream, version, topic, payload in rows
        ]

    def max_notification_id(self) -> int | None:
        rows = self._fetch(_NEWEST, (DEFAULT_TENANT,))
        return int(rows[0][0]) if rows else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return LogSubscription(recorder=self, gt=gt, topics=topics)


class LogSubscription(ListenNotifySubscription[LogApplicationRecorder]):
    """Wakes up when a batch was appended, and reads what is new."""

    def __init__(self, recorder: LogApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._listener = Thread(target=self._listen, name="log-subscription")
        self._listener.start()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._listener.join()

    def _listen(self) -> None:
        try:
            with self._recorder.log.datastore.get_connection() as connection:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                self._has_been_notified.set()  # for what was appended before we listened
                while not self._has_been_stopped:
                    for _ in connection.notifies(timeout=0.1, stop_after=1):
                        self._has_been_notified.set()
                connection.execute(sql.SQL("UNLISTEN {}").format(sql.Identifier(CHANNEL)))
        except BaseException as error:  # noqa: BLE001 (handed to the thread that iterates, as the library does)
            self._thread_error = self._thread_error or error
            self.stop()


class LogProcessRecorder(LogApplicationRecorder, ProcessRecorder):
    """Events and the position of the upstream application that caused them, in one transaction."""

    def __init__(self, log: Log, owner: str) -> None:
        super().__init__(log)
        self.owner = owner

    def insert_events(
        self, stored_events: Sequence[StoredEvent], tracking: Tracking | None = None, **_: Any
    ) -> Sequence[int] | None:
        if not stored_events and tracking is None:
            return None
        return list(self.log.insert(stored_events, track_of(self.owner, tracking))) or None

    def insert_tracking(self, tracking: Tracking) -> None:
        parameters = (self.owner, tracking.application_name, tracking.notification_id)
        if not self._fetch(_ADVANCE, parameters):
            raise IntegrityError(f"{tracking.application_name} is tracked beyond {tracking.notification_id} already")

    def max_tracking_id(self, application_name: str) -> int | None:
        rows = self._fetch(_TRACKED, (self.owner, application_name))
        return int(rows[0][0]) if rows else None
