"""Bad input at the append port: each is refused by its own name, and nothing in the log or beside it has changed."""

from dataclasses import dataclass, fields, replace
from typing import Any

import psycopg
import pytest

from command_service.infrastructure.event_store import PostgresEventStore
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    Claim,
    ClaimMissing,
    ClaimTaken,
    EventIdTaken,
    KeyAlreadyUsed,
    MalformedAppend,
    NewEvent,
    PayloadTooLarge,
    UnregisteredTopic,
)
from command_service.infrastructure.event_store.store import MAX_METADATA, MAX_PAYLOAD
from shared_kernel.errors import SubjectErased, TwinlogError
from shared_kernel.events.envelope import StoredRow
from tests.infrastructure.event_store.given import REQUIRE, TAKE, append, event, key
from tests.infrastructure.event_store.rows import rows_of
from tests.support.cluster import Database

STORED = event()
GOOD = append("loans-2", 0, event(), claims=[Claim(TAKE, "book", "ulysses")], key=key("new"), subjects=["bob"])
"""What would be appended; each bad append differs from it in one thing."""

GIVEN_BY_THE_LOG = {"position", "tenant_seq", "version", "recorded_at", "slot", "leaf_version", "leaf_hash"}
BESIDE = ("claims", "idempotency", "snapshots", "tracking", "erased_subjects")


def events(*given: NewEvent) -> Append:
    return replace(GOOD, events=given)


BAD: dict[str, tuple[Append, type[TwinlogError]]] = {
    "topic not in the registry": (events(event(topic="lending.BookBurnt.v1")), UnregisteredTopic),
    "second topic not in the registry": (events(event(), event(topic="lending.BookLent.v9")), UnregisteredTopic),
    "topic of another case": (events(event(topic="lending.booklent.v1")), UnregisteredTopic),
    "payload over the limit": (events(event(bytes(MAX_PAYLOAD + 1))), PayloadTooLarge),
    "metadata over the limit": (events(replace(event(), metadata=bytes(MAX_METADATA + 1))), PayloadTooLarge),
    "format that is no format": (events(replace(event(), payload_format=2**15)), MalformedAppend),
    "negative version": (replace(GOOD, expected_version=-1), MalformedAppend),
    "version that no log can hold": (replace(GOOD, expected_version=2**63 - 1), MalformedAppend),
    "skipped version of a new stream": (replace(GOOD, expected_version=1), AppendConflict),
    "skipped version": (replace(GOOD, stream="loans-1", expected_version=3), AppendConflict),
    "version that was taken": (replace(GOOD, stream="loans-1", expected_version=1), AppendConflict),
    "another tenant's stream": (replace(GOOD, tenant="north", stream="loans-1", expected_version=2), AppendConflict),
    "another tenant's claim": (replace(GOOD, tenant="north", claims=(Claim(REQUIRE, "book", "emma"),)), ClaimMissing),
    "name of another stream": (replace(GOOD, claims=(Claim(TAKE, "book", "emma"),)), ClaimTaken),
    "tenant that cannot be": (replace(GOOD, tenant="no.dots"), MalformedAppend),
    "stream without a name": (replace(GOOD, stream=""), MalformedAppend),
    "stream with NUL": (replace(GOOD, stream="loans-\x00"), MalformedAppend),
    "subject that was erased": (replace(GOOD, subjects=("ann",)), SubjectErased),
    "key that was used": (replace(GOOD, idempotency=key("used", b"other")), KeyAlreadyUsed),
    "event of another place, its id forged": (events(STORED), EventIdTaken),
    "one event twice": (events(*[event()] * 2), EventIdTaken),
}


@dataclass(frozen=True, slots=True)
class World:
    """A log that holds something, and how to see all of it."""

    store: PostgresEventStore
    database: Database

    def everything(self) -> list[Any]:
        with psycopg.connect(self.database.owner_url) as owner:
            beside = [owner.execute(f"SELECT t.* FROM {table} t".encode()).fetchall() for table in BESIDE]  # noqa: S608 - names from above
        return [rows_of(self.database.owner_url), *beside]


@pytest.fixture
async def world(store: PostgresEventStore, command_database: Database) -> World:
    await store.append(append("loans-1", 0, STORED, event(), claims=[Claim(TAKE, "book", "emma")], key=key("used")))
    with psycopg.connect(command_database.owner_url) as owner:
        owner.execute("INSERT INTO erased_subjects (tenant, subject, erased_at) VALUES ('default', 'ann', 1)")
    return World(store, command_database)


@pytest.mark.parametrize("name", BAD)
async def test_bad_append_is_refused_by_name_and_changes_nothing(world: World, name: str) -> None:
    bad, refusal = BAD[name]
    before = world.everything()
    with pytest.raises(TwinlogError) as refused:
        await world.store.append(bad)
    assert type(refused.value) is refusal
    assert world.everything() == before


async def test_what_the_bad_ones_were_made_from_is_appended(world: World) -> None:
    assert (await world.store.append(GOOD)).position == 3


def test_nobody_can_say_a_position_a_time_or_a_hash() -> None:
    """They are the log's own: an append has no place for them."""
    said = {field.name for kind in (Append, NewEvent) for field in fields(kind)}
    assert set(StoredRow._fields) >= GIVEN_BY_THE_LOG
    assert said.isdisjoint(GIVEN_BY_THE_LOG)


def test_append_function_has_no_parameter_for_them_either(command_database: Database) -> None:
    with psycopg.connect(command_database.owner_url) as owner:
        row = owner.execute("""
            SELECT array_agg(a.name) AS names FROM pg_proc p
            CROSS JOIN LATERAL unnest(p.proargnames, p.proargmodes) a (name, mode)
            WHERE p.proname = 'append_events_v1' AND a.mode = 'i'
        """).fetchone()
    assert row is not None
    named = {name.partition("_")[2] for name in row[0]}
    assert "payload" in named
    assert named.isdisjoint(GIVEN_BY_THE_LOG - {"version"})


@pytest.mark.parametrize("column", ["position", "recorded_at", "leaf_hash"])
def test_forged_value_behind_the_functions_back_is_a_matter_of_rights(command_database: Database, column: str) -> None:
    with (
        psycopg.connect(command_database.app_url) as service,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        service.execute(f"INSERT INTO events ({column}) VALUES (NULL)".encode())  # noqa: S608 (a name from above)
