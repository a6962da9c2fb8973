"""An archived stream is closed for good: it is read as ever, and nothing is added to it by anybody."""

import asyncio
from uuid import uuid4

import pytest

from command_service.infrastructure.archiving import OpenStreamStays
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import (
    Append,
    AppendConflict,
    ArchivedStreamRefusesAppends,
    NewEvent,
)
from shared_kernel.errors import NotFound
from shared_kernel.events.archiving import StreamArchived
from shared_kernel.events.resources import ResourceRestored
from tests.support.command_side import CommandSide, Person
from tests.support.history import METADATA

OPERATOR = Call.of_system("default", "test")


@pytest.fixture
async def ada(command_side: CommandSide) -> Person:
    return await command_side.register()


async def closed(side: CommandSide, by: Person) -> tuple[str, str]:
    """Path and stream of a resource that is put away."""
    path = await side.create_resource(by)
    assert (await side.send("POST", f"{path}/archive", by=by)).status_code == 200
    return path, path.removeprefix("/v1/").replace("/", "-", 1)


def another(stream: str, expected: int) -> Append:
    event = ResourceRestored(resource_id=uuid4())
    new = NewEvent(uuid4(), event.TOPIC, event.model_dump_json().encode(), METADATA)
    return Append("default", stream, expected, (new,))


async def test_archived_stream_refuses_commands_and_can_be_read(command_side: CommandSide, ada: Person) -> None:
    path, stream = await closed(command_side, ada)
    await command_side.services.archive.archive(stream, "no longer needed", OPERATOR)
    for method, further, body in (("POST", "/restore", None), ("PATCH", "", {"name": "x"})):
        answer = await command_side.send(method, f"{path}{further}", body, by=ada)
        assert (answer.status_code, answer.json()["code"]) == (409, "archived-stream-refuses-appends")
    rows = await command_side.services.log.read_stream("default", stream)
    assert [row.topic.split(".")[1] for row in rows] == ["ResourceCreated", "ResourceArchived", "StreamArchived"]
    assert b"no longer needed" in rows[-1].payload
    whole = [row async for batch in command_side.services.log.read_log(0) for row in batch]
    assert [row.position for row in whole] == list(range(1, len(whole) + 1)), "the log goes on as it was"
    assert rows[-1] in whole


@pytest.mark.parametrize("expected", [0, 2, 3, 4, 2**62])
async def test_no_expected_version_fits_an_archived_stream(
    command_side: CommandSide, ada: Person, expected: int
) -> None:
    _, stream = await closed(command_side, ada)
    await command_side.services.archive.archive(stream, "", OPERATOR)
    head = await command_side.services.log.head()
    with pytest.raises(ArchivedStreamRefusesAppends):
        await command_side.services.log.append(another(stream, expected))
    assert await command_side.services.log.head() == head


async def test_stale_append_to_an_open_stream_is_told_as_ever(command_side: CommandSide, ada: Person) -> None:
    _, stream = await closed(command_side, ada)
    with pytest.raises(AppendConflict):
        await command_side.services.log.append(another(stream, 1))
    with pytest.raises(AppendConflict):
        await command_side.services.log.append(another("resources-nothing", 1))


async def test_repeat_of_the_same_bytes_is_answered_even_when_the_stream_was_archived_since(
    command_side: CommandSide, ada: Person
) -> None:
    _, stream = await closed(command_side, ada)
    restored, put_away = another(stream, 2), another(stream, 3)
    first = await command_side.services.log.append(restored)
    archived = StreamArchived()
    last = NewEvent(uuid4(), archived.TOPIC, archived.model_dump_json().encode(), METADATA)
    await command_side.services.log.append(Append("default", stream, 3, (last,)))
    assert await command_side.services.log.append(restored) == first
    with pytest.raises(ArchivedStreamRefusesAppends):
        await command_side.services.log.append(put_away)


async def test_of_many_appends_at_once_none_comes_after_the_archiving(command_side: CommandSide, ada: Person) -> None:
    _, stream = await closed(command_side, ada)
    log = command_side.services.log
    attempts = [log.append(another(stream, version)) for version in (2, 3, 4) * 8]
    archiving = command_side.services.archive.archive(stream, "", OPERATOR)
    await asyncio.gather(*attempts[:12], archiving, *attempts[12:], return_exceptions=True)
    topics = [row.topic for row in await log.read_stream("default", stream)]
    assert StreamArchived.TOPIC not in topics[:-1]


async def test_only_what_has_come_to_its_end_is_archived(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    stream = path.removeprefix("/v1/").replace("/", "-", 1)
    with pytest.raises(OpenStreamStays):
        await command_side.services.archive.archive(stream, "", OPERATOR)
    for unknown in (f"resources-{uuid4()}", f"users-{ada.id}", "nonsense"):
        with pytest.raises(NotFound):
            await command_side.services.archive.archive(unknown, "", OPERATOR)


async def test_stream_is_archived_once_and_by_its_own_tenant(command_side: CommandSide, ada: Person) -> None:
    _, stream = await closed(command_side, ada)
    with pytest.raises(NotFound):
        await command_side.services.archive.archive(stream, "", Call.of_system("acme", "test"))
    await command_side.services.archive.archive(stream, "", OPERATOR)
    with pytest.raises(ArchivedStreamRefusesAppends):
        await command_side.services.archive.archive(stream, "", OPERATOR)
