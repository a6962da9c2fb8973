"""The log as the `eventsourcing` library's recorders use it: default tenant, any topic, any bytes, from threads."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NoReturn, cast
from uuid import UUID

import uuid_utils
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    PersistenceError,
    StoredEvent,
    Tracking,
)
from eventsourcing.postgres import PostgresDatastore
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from command_service.infrastructure import schema as log_schema
from command_service.infrastructure.event_store import batch
from command_service.infrastructure.event_store.blocking import BlockingAppender
from command_service.infrastructure.event_store.line import Line, open_line
from command_service.infrastructure.event_store.port import (
    AppendConflict,
    EventIdTaken,
    MalformedAppend,
    StoreBusy,
    StoreUnavailable,
)
from shared_kernel.errors import SchemaMismatch, TwinlogError
from shared_kernel.events.envelope import OPAQUE

DEFAULT_TENANT = "default"
NO_METADATA = b"{}"
CAPACITY = 10_000
PATIENCE = 30.0
CONNECT_TIMEOUT = 5
ANSWER_TIMEOUT = 30.0
"""Seconds: a little more than the server's own patience with a batch."""

_OPTIONS = r"-c lock_timeout=5s -c statement_timeout={} -c default_transaction_isolation=read\ committed"
_LINE_OPTIONS = _OPTIONS.format("25s")
# The pool also serves the application's own views, so its statements get more time than a batch needs.
_POOL_OPTIONS = _OPTIONS.format("60s")
_CONNECT = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}

_ERRORS: dict[type[TwinlogError], type[PersistenceError]] = {
    AppendConflict: IntegrityError,
    EventIdTaken: IntegrityError,
    batch.TrackingBehind: IntegrityError,
    MalformedAppend: DataError,
    StoreBusy: OperationalError,
    StoreUnavailable: OperationalError,
}


class Log:
    """One schema's log; all recorders of a factory share it and its batches. Reads go over the library's pool.

    Batches have one connection of their own: a connection's first call compiles the append function, 30 ms long.
    """

    def __init__(self, datastore: PostgresDatastore) -> None:
        self.datastore = datastore
        self.schema = datastore.schema
        self._connection_options().update(_CONNECT, options=_POOL_OPTIONS)
        self._appender = BlockingAppender(self._open_line, capacity=CAPACITY, patience=PATIENCE)

    def close(self) -> None:
        self._appender.close()

    def ensure(self, *, create: bool) -> None:
        """Bring the schema to head, or (`create=False`) only look. Raises SchemaMismatch and the library's errors."""
        try:
            with self.datastore.get_connection() as connection:
                log_schema.check_blocking(connection, schema=self.schema)
        except SchemaMismatch:
            if not create:
                raise
            log_schema.upgrade(self.conninfo(), None, schema=self.schema)

    def conninfo(self) -> str:
        """Where the pool connects to."""
        pool = self.datastore.pool
        way = self._connection_options()
        known = {name: way[name] for name in ("dbname", "host", "port", "user", "password")}
        if pool.get_password_func is not None:
            known["password"] = pool.get_password_func()
        return make_conninfo(**known)

    def insert(self, events: Sequence[StoredEvent], track: batch.Track | None = None) -> range:
        """Store all events or none; answers their positions. Raises IntegrityError when a version is there already."""
        rows = [
            batch.Row(
                self.stream_of(event.originator_id),
                event.originator_version,
                event.topic,
                OPAQUE,
                event.state,
                NO_METADATA,
                uuid_utils.uuid7().bytes,
            )
            for event in events
        ]
        keys: set[batch.Key] = {(DEFAULT_TENANT, row.stream) for row in rows}
        if track is not None:
            keys.add((track.owner, track.application_name, "tracking"))
        item = batch.Item(
            DEFAULT_TENANT,
            rows[0].stream if rows else "",
            None,
            rows,
            size=sum([len(row.payload) for row in rows]),
            alone=frozenset(keys),
            track=track,
        )
        try:
            end = self._appender.append(item).position + 1
        except TwinlogError as error:
            _reraise(error)
        return range(end - len(rows), end) if rows else range(0)

    def stream_of(self, originator_id: UUID | str) -> str:
        """The stream of an aggregate. Raises DataError for what is no UUID where UUIDs are wanted."""
        if isinstance(originator_id, str) and self.datastore.originator_id_type == "uuid":
            try:
                return str(UUID(originator_id))
            except ValueError:
                raise DataError(f"{originator_id!r} is not a UUID (ORIGINATOR_ID_TYPE=uuid)") from None
        return str(originator_id)

    def originator_of(self, stream: str) -> UUID | str:
        """The aggregate's id; streams that are no UUIDs (written by the append port) keep their names."""
        if self.datastore.originator_id_type == "uuid":
            try:
                return UUID(stream)
            except ValueError:
                return stream
        return stream

    def _connection_options(self) -> dict[str, Any]:
        """How the pool connects: the library always gives it a dict, where psycopg's type also allows a function."""
        return cast("dict[str, Any]", self.datastore.pool.kwargs)

    def _open_line(self) -> Line:
        """A connection for batches: where the pool connects to, with psycopg's own errors, which tell what was lost."""
        pool = self.datastore.pool
        password = {} if pool.get_password_func is None else {"password": pool.get_password_func()}
        ours = {"autocommit": True, "connect_timeout": CONNECT_TIMEOUT, "options": _LINE_OPTIONS}
        known = {**self._connection_options(), **password, **ours}
        return open_line(partial(Connection.connect, **known), batch.call(self.schema), ANSWER_TIMEOUT)


def track_of(owner: str, tracking: Tracking | None) -> batch.Track | None:
    return None if tracking is None else batch.Track(owner, tracking.application_name, tracking.notification_id)


def _reraise(error: TwinlogError) -> NoReturn:
    raise _ERRORS.get(type(error), PersistenceError)(error.detail) from error
