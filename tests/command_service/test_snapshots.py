"""Snapshots save time and decide nothing: whatever becomes of them, a stream loads as its events say."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from command_service.features.accounts.handlers.accounts import USERS
from command_service.features.resources.domain import Resource, evolve
from command_service.features.resources.handlers import RESOURCES
from command_service.infrastructure.aggregate import Loaded, SnapshotPolicy
from command_service.infrastructure.event_store.port import Append, KeptState, NewEvent
from command_service.infrastructure.snapshots import Snapshots, _place_of
from shared_kernel.events.contract import Event
from shared_kernel.events.resources import ResourceArchived, ResourceCreated, ResourceDetailsChanged, ResourceRestored
from tests.support.command_side import CommandSide
from tests.support.history import METADATA

ID = UUID("01980000-0000-7000-8000-000000000001")
CREATED = ResourceCreated(
    resource_id=ID, owner=ID, name="r", description="", classification="internal", attributes={}, tags=()
)
POLICY = SnapshotPolicy(Resource, shape=1, every=5)
SMALL = replace(RESOURCES, snapshots=POLICY)
"""Resources of which a snapshot is kept every five events."""

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc$", max_size=3), inner, max_size=3),
    max_leaves=6,
)
changes = st.one_of(
    st.just(ResourceArchived(resource_id=ID)),
    st.just(ResourceRestored(resource_id=ID)),
    st.builds(
        ResourceDetailsChanged,
        resource_id=st.just(ID),
        name=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        attributes=st.none() | st.dictionaries(st.text("abc$", max_size=3), json_values, max_size=3),
        tags=st.none() | st.lists(st.text("ab", max_size=2), max_size=3).map(tuple),
    ),
)


def folded(state: Resource | None, events: Sequence[Event]) -> Resource | None:
    for event in events:
        state = evolve(state, event)
    return state


@settings(max_examples=150)
@given(st.lists(changes, max_size=12), st.integers(0, 12))
def test_state_with_a_snapshot_is_the_state_without(further: list[Event], at: int) -> None:
    half = folded(None, [CREATED, *further[:at]])
    assert half is not None
    assert folded(POLICY.read(POLICY.write(half)), further[at:]) == folded(None, [CREATED, *further])


def test_shape_is_named_by_its_fields_and_its_number() -> None:
    names = {SnapshotPolicy(Resource, shape=1).name, SnapshotPolicy(Resource, shape=2).name, POLICY.name}
    assert names == {POLICY.name, POLICY.name.replace(".v1.", ".v2.")}
    with pytest.raises(ValueError, match="every event"):
        SnapshotPolicy(Resource, shape=1, every=1)


async def appended(side: CommandSide, stream: str, *events: Event, after: int = 0, tenant: str = "default") -> None:
    new = tuple(NewEvent(uuid4(), event.TOPIC, event.model_dump_json().encode(), METADATA) for event in events)
    await side.services.log.append(Append(tenant, stream, after, new))


def renamed(number: int) -> Event:
    return ResourceDetailsChanged(resource_id=ID, name=f"name {number}")


async def loaded(side: CommandSide, stream: str, tenant: str = "default") -> Loaded[Resource]:
    return await side.services.resources._execution.load(SMALL, tenant, stream)


async def kept(side: CommandSide) -> list[tuple[str, str, int]]:
    rows = await side.rows("SELECT tenant, stream, version FROM snapshots ORDER BY tenant, stream, version")
    return [(row["tenant"], row["stream"], row["version"]) for row in rows]


STREAM = f"resources-{ID}"
OTHER = f"resources-{UUID(int=9)}"


async def test_newest_state_is_kept_after_every_few_events(command_side: CommandSide) -> None:
    await appended(command_side, STREAM, CREATED, *map(renamed, range(3)))
    await loaded(command_side, STREAM)
    assert await kept(command_side) == [], "four events are not enough"
    await appended(command_side, STREAM, *map(renamed, range(4, 7)), after=4)
    found = await loaded(command_side, STREAM)
    assert await kept(command_side) == [("default", STREAM, 7)]
    await appended(command_side, STREAM, *map(renamed, range(7, 12)), after=7)
    again = await loaded(command_side, STREAM)
    assert await kept(command_side) == [("default", STREAM, 12)], "one for each stream"
    assert found.state is not None
    assert again.state is not None
    assert (found.state.name, again.state.name, again.version) == ("name 6", "name 11", 12)


async def test_snapshot_is_what_is_read(command_side: CommandSide) -> None:
    """Nothing else would tell whether it is used: the events before it are gone."""
    await appended(command_side, STREAM, CREATED, *map(renamed, range(6)))
    before = await loaded(command_side, STREAM)
    await appended(command_side, STREAM, renamed(99), after=7)
    tampered(command_side, "DELETE FROM events WHERE stream = %s AND version < 7", STREAM)
    with capture_logs() as said:
        after = await loaded(command_side, STREAM)
    assert said == []
    assert before.state is not None
    assert after.state == replace(before.state, name="name 99")


def tampered(side: CommandSide, statement: str, *values: Any) -> None:
    """As somebody who owns the database may."""
    with psycopg.connect(side.database.owner_url) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_append_only")
        connection.execute(statement.encode(), values)
        connection.execute("ALTER TABLE events ENABLE TRIGGER events_append_only")


FOREIGN = """
INSERT INTO snapshots (version, tenant, purpose, stream, topic, state)
SELECT version, %s, purpose, %s, topic, state FROM snapshots WHERE tenant = 'default' AND stream = %s
"""
SHAPE = "UPDATE snapshots SET topic = %s WHERE stream = %s"
HARM = {
    "corrupt": ("UPDATE snapshots SET state = overlay(state PLACING '\\x00' FROM 40) WHERE stream = %s", STREAM),
    "cut": ("UPDATE snapshots SET state = '' WHERE stream = %s", STREAM),
    "forged": ("UPDATE snapshots SET state = substr(state, 1, 32) || '{}' WHERE stream = %s", STREAM),
    "of an older shape": (SHAPE, POLICY.name.replace(".v1.", ".v0."), STREAM),
    "of a newer shape": (SHAPE, POLICY.name.replace(".v1.", ".v2."), STREAM),
    "at another version": ("UPDATE snapshots SET version = 6 WHERE stream = %s", STREAM),
    "beyond the stream": ("UPDATE snapshots SET version = 4711 WHERE stream = %s", STREAM),
    "of another history": ("UPDATE events SET leaf_hash = sha256('x') WHERE stream = %s AND version = 7", STREAM),
}


@pytest.mark.parametrize("harm", HARM)
async def test_doubtful_snapshot_is_ignored_said_and_replaced(command_side: CommandSide, harm: str) -> None:
    await appended(command_side, STREAM, CREATED, *map(renamed, range(6)))
    before = await loaded(command_side, STREAM)
    tampered(command_side, *HARM[harm])
    with capture_logs() as said:
        after = await loaded(command_side, STREAM)
    assert (after.state, after.version, after.position) == (before.state, before.version, before.position)
    assert [line["event"] for line in said] == ["snapshot ignored"]
    with capture_logs() as said:
        assert (await loaded(command_side, STREAM)).state == before.state
    assert said == [], "a good one has taken its place"


async def test_snapshot_of_another_tenant_or_stream_is_ignored(command_side: CommandSide) -> None:
    await appended(command_side, STREAM, CREATED, *map(renamed, range(6)))
    await loaded(command_side, STREAM)
    for tenant, stream in (("acme", STREAM), ("default", OTHER)):
        await appended(command_side, stream, CREATED, *(renamed(1) for _ in range(6)), tenant=tenant)
        tampered(command_side, FOREIGN, tenant, stream, STREAM)
        with capture_logs() as said:
            found = await loaded(command_side, stream, tenant)
        assert found.state is not None
        assert (found.state.name, [line["reason"] for line in said]) == ("name 1", ["its proof does not fit"])


async def test_state_that_does_not_read_is_ignored(command_side: CommandSide) -> None:
    """A release that forgot to say that the state has changed, with a proof that fits."""
    await appended(command_side, STREAM, CREATED, *map(renamed, range(6)))
    snapshots = command_side.services.resources._execution.loading.snapshots
    row = (await command_side.services.log.read_stream("default", STREAM, 6))[0]
    place = _place_of(row, POLICY.name)
    bad = KeptState(7, POLICY.name, snapshots._proof(b'{"name": 7}', place) + b'{"name": 7}')
    await command_side.services.log.keep_snapshot("default", STREAM, bad)
    with capture_logs() as said:
        assert (await loaded(command_side, STREAM)).version == 7
    assert [line["reason"] for line in said] == ["its state does not read"]


async def test_streams_with_personal_data_are_never_kept(command_side: CommandSide) -> None:
    ada = await command_side.register()
    policy: SnapshotPolicy[Any] = SnapshotPolicy(dict, shape=1, every=2)
    found: Loaded[Any] = Loaded({"name": "Ada"}, 5, 5, bytes(32), personal=True)
    snapshots = command_side.services.resources._execution.loading.snapshots
    await snapshots.keep(policy, "default", f"users-{ada.id}", found, since=0)
    user = await command_side.services.resources._execution.load(USERS, "default", f"users-{ada.id}")
    assert user.personal
    assert await kept(command_side) == []


async def test_trouble_with_keeping_is_no_trouble_of_whoever_loads(command_side: CommandSide) -> None:
    await appended(command_side, STREAM, CREATED, *map(renamed, range(6)))
    tampered(command_side, "REVOKE EXECUTE ON FUNCTION keep_snapshot_v1 FROM twinlog_command_app")
    with capture_logs() as said:
        found = await loaded(command_side, STREAM)
    assert (found.version, [line["event"] for line in said]) == (7, ["snapshot not kept"])


async def test_snapshot_that_was_replaced_meanwhile_is_no_fault(command_side: CommandSide) -> None:
    await appended(command_side, STREAM, CREATED, renamed(1))
    row = (await command_side.services.log.read_stream("default", STREAM, 1))[0]
    assert await Snapshots(command_side.services.log, bytes(32)).find(POLICY, row) is None


async def test_streams_longer_than_a_page_load_whole(command_side: CommandSide) -> None:
    await appended(command_side, STREAM, CREATED, *map(renamed, range(2_099)))
    found = await loaded(command_side, STREAM)
    unaided = await command_side.services.resources._execution.load(replace(SMALL, snapshots=None), "default", STREAM)
    assert found.state == unaided.state
    assert found.version == unaided.version == 2_100
    assert (await loaded(command_side, "resources-none")).state is None
