"""The library's ProjectionRunner as its documentation shows it: one read model, one transaction for each event."""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, DomainEventProtocol, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL

AT_ONCE = 500


class Thing(Aggregate):
    """An aggregate with the details of a resource."""

    class Created(Aggregate.Created):
        """It is there."""

        name: str
        description: str
        classification: str

    class Renamed(Aggregate.Event):
        """It goes by another name."""

        name: str

    @event(Created)
    def __init__(self, name: str, description: str, classification: str) -> None:
        self.name, self.description, self.classification, self.state = name, description, classification, "active"

    @event(Renamed)
    def rename(self, name: str) -> None:
        self.name = name


class Things(PostgresTrackingRecorder):
    """The read model."""

    def __init__(self, datastore: PostgresDatastore, **kwargs: Any) -> None:
        super().__init__(datastore, **kwargs)
        self.sql_create_statements.append(
            SQL(  # type: ignore[arg-type] # it declares Composed, and executes either
                "CREATE TABLE IF NOT EXISTS things (id uuid PRIMARY KEY, name text NOT NULL, description text NOT NULL,"
                " classification text NOT NULL, version bigint NOT NULL)"
            )
        )

    def add(self, thing: UUID, details: Sequence[str], tracking: Tracking) -> None:
        """A new row, and how far we are."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO things (id, name, description, classification, version) VALUES (%s, %s, %s, %s, 1)",
                (thing, *details),
                prepare=True,
            )

    def rename(self, thing: UUID, name: str, version: int, tracking: Tracking) -> None:
        """A changed row, and how far we are."""
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "UPDATE things SET name = %s, version = %s WHERE id = %s", (name, version, thing), prepare=True
            )


class ThingsProjection(Projection[Things]):
    """Events into rows."""

    name = "things"

    @singledispatchmethod
    def process_event(self, _: DomainEventProtocol[UUID], tracking: Tracking) -> None:
        """Nothing of interest, but it was seen."""
        with self.view.datastore.transaction(commit=True) as cursor:
            self.view._insert_tracking(cursor, tracking)

    @process_event.register
    def _(self, happened: Thing.Created, tracking: Tracking) -> None:
        details = (happened.name, happened.description, happened.classification)
        self.view.add(happened.originator_id, details, tracking)

    @process_event.register
    def _(self, happened: Thing.Renamed, tracking: Tracking) -> None:
        self.view.rename(happened.originator_id, happened.name, happened.originator_version, tracking)


def variables_of(url: str) -> dict[str, str]:
    """The library's settings for a database."""
    parts = conninfo_to_dict(url)
    names = {"DBNAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}
    return {"PERSISTENCE_MODULE": "eventsourcing.postgres"} | {
        f"POSTGRES_{name}": str(parts[key]) for name, key in names.items()
    }


def fill(url: str, events: int) -> int:
    """Things that are created and renamed; the position of the last event."""
    with Application[UUID](variables_of(url)) as application:
        for start in range(0, events, AT_ONCE):
            things = [_thing(start + number) for number in range(AT_ONCE // 2)]
            application.save(*things)
        return application.recorder.max_notification_id() or 0


def _thing(number: int) -> Thing:
    thing = Thing(f"thing {number} {uuid4()}", "It stands in the second room, behind the green door.", "internal")
    thing.rename(f"thing {number} anew")
    return thing


def run(url: str, last: int) -> float:
    """Seconds that the runner takes from the first to the last event."""
    begun = time.perf_counter()
    with ProjectionRunner(
        application_class=Application[UUID],
        projection_class=ThingsProjection,
        view_class=Things,
        env=variables_of(url),
    ) as runner:
        runner.wait(last, timeout=600)
        return time.perf_counter() - begun
