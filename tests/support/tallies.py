"""A feature for tests of the projector: tallies that are opened, raised and closed, and ways to go wrong."""

from typing import Any, ClassVar
from uuid import UUID

import psycopg
from psycopg import sql

from query_service.infrastructure.projection import Key, Projection, Row, Table, existing
from shared_kernel.events import operations
from shared_kernel.events.contract import Event, Personal
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.registry import Registry, events_of


class TallyOpened(Event):
    TOPIC: ClassVar[str] = "tallies.TallyOpened.v1"

    tally_id: UUID
    note: str = ""


class TallyRaised(Event):
    TOPIC: ClassVar[str] = "tallies.TallyRaised.v1"

    tally_id: UUID
    by: int


class TallyNoted(Event):
    TOPIC: ClassVar[str] = "tallies.TallyNoted.v1"

    tally_id: UUID
    note: str


class TallyClosed(Event):
    TOPIC: ClassVar[str] = "tallies.TallyClosed.v1"

    tally_id: UUID


class TallySigned(Event):
    TOPIC: ClassVar[str] = "tallies.TallySigned.v1"
    SUBJECT: ClassVar[str | None] = "person"

    tally_id: UUID
    person: UUID
    signature: Personal


class NegativeRaise(Exception):
    """The fold's own bug, for tests of poison."""


TALLIES = Table(
    name="tallies",
    key=("tenant", "id"),
    columns={
        "tenant": "text",
        "id": "uuid",
        "total": "bigint",
        "steps": "bigint[]",
        "details": "jsonb",
        "note": "text",
        "version": "bigint",
    },
)
REGISTRY = Registry((TallyOpened, TallyRaised, TallyNoted, TallyClosed, TallySigned, *events_of(operations)))


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.tally_id


def on_opened(_: Row | None, recorded: Recorded[TallyOpened]) -> Row:
    return {
        "tenant": recorded.row.tenant,
        "id": recorded.event.tally_id,
        "total": 0,
        "steps": [],
        "details": {"by": recorded.metadata.actor},
        "note": recorded.event.note,
        "version": recorded.row.version,
    }


def on_raised(row: Row | None, recorded: Recorded[TallyRaised]) -> Row:
    if recorded.event.by < 0:
        raise NegativeRaise(f"secret-{recorded.event.by}")
    before = existing(row)
    return {
        **before,
        "total": before["total"] + recorded.event.by,
        "steps": [*before["steps"], recorded.event.by],
        "version": recorded.row.version,
    }


def on_noted(row: Row | None, recorded: Recorded[TallyNoted]) -> Row:
    return {**existing(row), "note": recorded.event.note, "version": recorded.row.version}


def on_closed(_: Row | None, __: Recorded[TallyClosed]) -> None:
    """The tally is gone."""


def on_signed(row: Row | None, recorded: Recorded[TallySigned]) -> Row:
    details = {**existing(row)["details"], "signature": recorded.event.signature}
    return {**existing(row), "details": details, "version": recorded.row.version}


PROJECTION = Projection(
    name="tallies",
    version=1,
    table=TALLIES,
    key_of=key_of,
    folds={
        TallyOpened: on_opened,
        TallyRaised: on_raised,
        TallyNoted: on_noted,
        TallyClosed: on_closed,
        TallySigned: on_signed,
    },
)

CREATE = """
CREATE TABLE {generation}.tallies (
    tenant text NOT NULL, id uuid NOT NULL, total bigint NOT NULL, steps bigint[] NOT NULL, details jsonb NOT NULL,
    note text NOT NULL, version bigint NOT NULL,
    CONSTRAINT tallies_pk PRIMARY KEY (tenant, id), CONSTRAINT tallies_total_small CHECK (total < 1000000)
);
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON {generation}.tallies TO twinlog_query_app
"""


def create_tables(owner_url: str) -> None:
    """The table in both generations, for the run-time role."""
    with psycopg.connect(owner_url) as connection:
        for generation in ("blue", "green"):
            connection.execute(sql.SQL(CREATE).format(generation=sql.Identifier(generation)))
