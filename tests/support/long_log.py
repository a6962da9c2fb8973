"""A long log in little time: rows as the event store would have made them, written into it past the services."""

import json
import random
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import uuid_utils
from psycopg_pool import AsyncConnectionPool

from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import JSON, StoredRow
from shared_kernel.events.leaf import LEAF_VERSION
from shared_kernel.events.registry import registry
from shared_kernel.events.resources import ResourceArchived, ResourceCreated, ResourceDetailsChanged, ResourceRestored
from shared_kernel.messaging.partition import slot_of
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from tests.support.history import METADATA, sealed
from tests.support.stack import Stack

TYPES = {
    "position": "int8",
    "tenant_seq": "int8",
    "version": "int8",
    "recorded_at": "int8",
    "event_id": "uuid",
    "slot": "int2",
    "payload_format": "int2",
    "leaf_version": "int2",
    "tenant": "text",
    "stream": "text",
    "topic": "text",
    "leaf_hash": "bytea",
    "metadata": "bytea",
    "payload": "bytea",
}
COPY = f"COPY events ({', '.join(TYPES)}) FROM STDIN (FORMAT BINARY)"
END = "SELECT position, tenant_seq, recorded_at FROM events ORDER BY position DESC LIMIT 1"

PERSON_EVERY = 100
"""One event in so many is the registration of the next person, as long as there are people."""

REMEMBERED = 20_000
"""Resources of which one is changed next; older ones rest."""

Person = tuple[UUID, SubjectKey]


@dataclass(slots=True)
class _Resource:
    id: UUID
    slot: int
    version: int = 1
    archived: bool = False

    @property
    def stream(self) -> str:
        return f"resources-{self.id}"


class LongLog:
    """People register; resources are created, changed, archived and restored, in a fixed order of chances."""

    def __init__(self, people: Sequence[Person] = (), tenant: str = "default", seed: int = 1) -> None:
        self._codec = PayloadCodec(registry())
        self._tenant = tenant
        self._people = iter(people)
        self._owners = [person for person, _ in people] or [UUID(int=1)]
        self._chance = random.Random(seed)  # noqa: S311 - no secret is made of it
        self._resources: list[_Resource] = []

    def rows(self, count: int, position: int = 0, tenant_seq: int = 0, recorded_at: int = 0) -> Iterator[StoredRow]:
        """So many rows after this position, sequence number and time (microseconds; 0: now)."""
        recorded_at = recorded_at or time.time_ns() // 1000
        for number in range(1, count + 1):
            row = self._next(position + number)
            yield sealed(
                row._replace(
                    position=position + number, tenant_seq=tenant_seq + number, recorded_at=recorded_at + number
                )
            )

    def _next(self, position: int) -> StoredRow:
        if position % PERSON_EVERY == 0 and (person := next(self._people, None)):
            return self._registration(*person)
        if not self._resources or self._chance.random() < 0.4:
            return self._creation(position)
        return self._change(self._chance.choice(self._resources), position)

    def _registration(self, person: UUID, key: SubjectKey) -> StoredRow:
        stream, email = f"users-{person}", f"{person}@example.com"
        event = UserRegistered(user_id=person, email=email, name="Somebody", password_hash="$argon2id$none")
        payload = self._codec.encode(event, tenant=self._tenant, stream=stream, version=1, key=key)
        return self._row(stream, 1, slot_of(self._tenant, stream), event.TOPIC, payload)

    def _creation(self, position: int) -> StoredRow:
        resource_id = UUID(int=uuid_utils.uuid7().int)
        made = _Resource(resource_id, slot_of(self._tenant, f"resources-{resource_id}"))
        if len(self._resources) < REMEMBERED:
            self._resources.append(made)
        else:
            self._resources[self._chance.randrange(REMEMBERED)] = made
        data = {
            "attributes": {"colour": "blue", "size": position % 100},
            "classification": "internal",
            "description": "It stands in the second room on the left, behind the green door.",
            "name": f"thing {position}",
            "owner": self._chance.choice(self._owners),
            "resource_id": resource_id,
            "tags": ["one", "two"],
        }
        return self._of(made, ResourceCreated, data)

    def _change(self, resource: _Resource, position: int) -> StoredRow:
        resource.version += 1
        if self._chance.random() < 0.1:
            resource.archived = not resource.archived
            contract = ResourceArchived if resource.archived else ResourceRestored
            return self._of(resource, contract, {"resource_id": resource.id})
        data = {
            "attributes": None,
            "classification": None,
            "description": None,
            "name": f"thing {position} anew",
            "resource_id": resource.id,
            "tags": None,
        }
        return self._of(resource, ResourceDetailsChanged, data)

    def _of(self, resource: _Resource, contract: type[Event], data: Mapping[str, object]) -> StoredRow:
        return self._row(resource.stream, resource.version, resource.slot, contract.TOPIC, orjson.dumps(data))

    def _row(self, stream: str, version: int, slot: int, topic: str, payload: bytes) -> StoredRow:
        event_id = UUID(int=uuid_utils.uuid7().int)
        return StoredRow(
            0, self._tenant, 0, stream, version, topic, JSON, payload, METADATA, event_id, 0, slot, LEAF_VERSION, b""
        )


def lengthen(owner_url: str, log: LongLog, count: int) -> tuple[int, int]:
    """Write so many rows at the end of a log to which nobody else writes; (first, last) position."""
    with psycopg.connect(owner_url) as connection:
        position, tenant_seq, recorded_at = connection.execute(END).fetchone() or (0, 0, 0)
        write(connection, log.rows(count, position, tenant_seq, recorded_at))
    return position + 1, position + count


def write(connection: psycopg.Connection, rows: Iterable[StoredRow]) -> None:
    """Copy rows into the log of a command database."""
    values = attrgetter(*TYPES)
    with connection.cursor() as cursor, cursor.copy(COPY.encode()) as copy:
        copy.set_types(list(TYPES.values()))
        for row in rows:
            copy.write_row(values(row))


async def people_of(stack: Stack, count: int) -> Sequence[Person]:
    """So many people with keys in the vault of a running stack."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())["command"]
    kek = Kek.parse((Path(kept["SECRETS_DIR"]) / "twinlog_kek").read_text().strip())
    async with AsyncConnectionPool(
        kept["VAULT_DATABASE_URL"], min_size=4, max_size=4, kwargs={"autocommit": True}, open=False
    ) as pool:
        vault = KeyVault(pool, kek)
        ids = [UUID(int=uuid_utils.uuid7().int) for _ in range(count)]
        return [(person, await vault.make_key("default", str(person))) for person in ids]


def owner_of_log(stack: Stack) -> str:
    """The URL of the role that owns the command database."""
    kept = json.loads((stack.data / "secrets" / "environment.json").read_text())
    return str(kept["owner"]["COMMAND_OWNER_URL"])
