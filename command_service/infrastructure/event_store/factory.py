"""The library's infrastructure factory: `POSTGRES_*` variables in, recorders over the log out."""

from types import TracebackType
from typing import TypeVar, cast

from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, ProcessRecorder
from eventsourcing.postgres import PostgresFactory, PostgresTrackingRecorder
from eventsourcing.utils import Environment, EnvType, resolve_topic

from command_service.infrastructure.event_store.log import Log
from command_service.infrastructure.event_store.recorder import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogProcessRecorder,
)
from command_service.infrastructure.event_store.snapshots import SnapshotRecorder
from command_service.infrastructure.event_store.tracking import LogTrackingRecorder
from shared_kernel import migrations

EVENTS = "events"

T = TypeVar("T", bound=PostgresTrackingRecorder)
R = TypeVar("R")


class Factory(PostgresFactory):
    """`CREATE_TABLE=y` (the library's default) brings the schema to head, `n` refuses any other revision.

    There is one log per schema: give applications that should not share one a `POSTGRES_SCHEMA` each.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.log = Log(self.datastore)

    def close(self) -> None:
        self.log.close()
        super().close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.log.close()
        super().__exit__(exc_type, exc_val, exc_tb)

    def aggregate_recorder(self, purpose: str = EVENTS) -> AggregateRecorder:
        self._ensure()
        return LogAggregateRecorder(self.log) if purpose == EVENTS else SnapshotRecorder(self.log, purpose)

    def application_recorder(self) -> ApplicationRecorder:
        self._ensure()
        return self._class(self.APPLICATION_RECORDER_TOPIC, LogApplicationRecorder)(self.log)

    def process_recorder(self) -> ProcessRecorder:
        self._ensure()
        return self._class(self.PROCESS_RECORDER_TOPIC, LogProcessRecorder)(self.log, self._owner())

    def tracking_recorder(self, tracking_recorder_class: type[T] | None = None) -> T:
        self._ensure()
        named = self.env.get(self.TRACKING_RECORDER_TOPIC)
        given = tracking_recorder_class or (resolve_topic(named) if named else LogTrackingRecorder)
        recorder = cast("type[T]", given)(datastore=self.datastore, tracking_table_name=self._owner())
        if self.env_create_table():
            with migrations.alone(self.log.conninfo()):  # views have tables of their own to create
                recorder.create_table()
        return recorder

    def _ensure(self) -> None:
        self.log.ensure(create=self.env_create_table())

    def _owner(self) -> str:
        return (self.env.name.lower() or "notification") + "_tracking"

    def _class(self, variable: str, default: type[R]) -> type[R]:
        """The class that the environment names. Raises TypeError for one that is no recorder of this kind."""
        topic = self.env.get(variable)
        if not topic:
            return default
        named = resolve_topic(topic)
        if not issubclass(named, default):
            raise TypeError(f"{variable} names {topic}, which is not a {default.__name__}")
        return cast("type[R]", named)
