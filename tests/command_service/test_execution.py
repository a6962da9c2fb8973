"""The one path of a command: what happens when others change the same object at the same moment."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from command_service.features.resources.commands import ArchiveResource
from command_service.features.resources.domain import archive_resource
from command_service.features.resources.handlers import RESOURCES
from command_service.features.resources.permissions import ARCHIVE
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Append, Appended, NewEvent
from command_service.infrastructure.event_store.store import PostgresEventStore
from shared_kernel.errors import Forbidden
from shared_kernel.events.envelope import Metadata, StoredRow
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceDetailsChanged
from tests.support.cluster import Database, Vault
from tests.support.command_side import CommandSide, Person, command_side_of


class MeddledStore(PostgresEventStore):
    """The real store, with somebody who is quicker: `meddle` times another change lands just before ours."""

    meddle = 0

    async def append(self, append: Append) -> Appended:
        if self.meddle > 0 and append.stream.startswith("resources-") and append.expected_version > 0:
            self.meddle -= 1
            await super().append(interference(append, self.meddle))
        return await super().append(append)


def interference(append: Append, number: int) -> Append:
    changed = ResourceDetailsChanged(resource_id=UUID(append.stream.removeprefix("resources-")), name=f"n{number}")
    metadata = Metadata(actor="system:test", correlation_id="test", occurred_at=datetime.now(UTC).isoformat())
    event = NewEvent(uuid4(), changed.TOPIC, changed.model_dump_json().encode(), metadata.encode())
    return Append(append.tenant, append.stream, append.expected_version, (event,))


async def meddled(command: Database, vault: Vault, times: int, **headers: Any) -> tuple[int, str, list[str]]:
    """Change a resource while somebody else is quicker so many times: status, code, and what is in the log."""
    store = MeddledStore(command.app_url, topics=registry().by_topic.keys())
    async with command_side_of(command, vault, log=store) as side:
        ada = await side.register()
        path = await side.create_resource(ada)
        store.meddle = times
        answer = await side.send("PATCH", path, {"description": "mine"}, by=ada, **headers)
        return answer.status_code, answer.json().get("code", ""), await side.topics_of(path)


async def test_conflict_is_decided_again_without_if_match(command_database: Database, vault_database: Vault) -> None:
    status, _, topics = await meddled(command_database, vault_database, times=3)
    assert (status, len(topics)) == (200, 1 + 3 + 1)


async def test_too_many_conflicts_are_409(command_database: Database, vault_database: Vault) -> None:
    status, code, topics = await meddled(command_database, vault_database, times=4)
    assert (status, code, len(topics)) == (409, "version-conflict", 1 + 4)


async def test_conflict_is_412_at_once_with_if_match(command_database: Database, vault_database: Vault) -> None:
    for if_match in ('"1"', "*"):
        status, code, _ = await meddled(command_database, vault_database, times=1, If_Match=if_match)
        assert (status, code) == (412, "stale-version")


async def test_of_many_changes_to_one_version_exactly_one_succeeds(command_side: CommandSide) -> None:
    ada = await command_side.register()
    path = await command_side.create_resource(ada)
    answers = await asyncio.gather(
        *(command_side.send("PATCH", path, {"name": f"n{n}"}, by=ada, If_Match='"1"') for n in range(12))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 11}
    assert await command_side.topics_of(path) == ["ResourceCreated", "ResourceDetailsChanged"]


class CountingStore(PostgresEventStore):
    """The real store; `read` says how many events its streams have given."""

    read = 0

    async def read_stream(
        self, tenant: str, stream: str, after_version: int = 0, limit: int | None = None
    ) -> Sequence[StoredRow]:
        rows = await super().read_stream(tenant, stream, after_version, limit)
        self.read += len(rows)
        return rows


async def test_answer_given_again_reads_one_event_however_long_the_stream_is_by_now(
    command_database: Database, vault_database: Vault
) -> None:
    store = CountingStore(command_database.app_url, topics=registry().by_topic.keys())
    async with command_side_of(command_database, vault_database, log=store) as side:
        ada = await side.register()
        path = await side.create_resource(ada)
        for number in (1, 2, 3, 4):
            await side.send("PATCH", path, {"name": f"n{number}"}, by=ada, Idempotency_Key=f"k{number}")
        store.read = 0
        again = await side.send("PATCH", path, {"name": "n1"}, by=ada, Idempotency_Key="k1")
        assert (again.headers["Idempotency-Replayed"], store.read) == ("true", 1)


async def test_object_that_needs_a_permission_is_closed_to_calls_without_a_user(command_side: CommandSide) -> None:
    ada: Person = await command_side.register()
    resource_id = UUID((await command_side.create_resource(ada)).rsplit("/", 1)[1])
    work = RESOURCES.change(resource_id, archive_resource, ArchiveResource(resource_id), ARCHIVE)
    with pytest.raises(Forbidden):
        await command_side.services.resources._execution.run(work, Call.of_system("default", "test"))
