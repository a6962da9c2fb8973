"""From stored bytes to events: only those that a projection asks for, with one question to the vault per batch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from query_service.projector.batch import Slice
from query_service.projector.patience import Watch, watched
from query_service.projector.trouble import Trouble
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Recorded, StoredRow
from shared_kernel.events.registry import Registry
from shared_kernel.privacy.cipher import SubjectKey
from shared_kernel.privacy.payload import PayloadCodec

Pair = tuple[str, str]


class Keys(Protocol):
    """Where subject keys come from."""

    async def keys_of(self, pairs: Iterable[Pair]) -> Mapping[Pair, SubjectKey]:
        """The keys of these (tenant, subject) pairs, without those that are destroyed."""
        ...


@dataclass(slots=True)
class Arrival:
    """One event of a batch. `recorded` is None when no projection asks for its class, or when there is `trouble`.

    `contract` is its class as far as the topic tells: None for a topic that is unknown or led on by an upcaster.
    Not frozen: it would take three times as long to make one.
    """

    partition: int
    row: StoredRow
    contract: type[Event] | None
    recorded: Recorded[Any] | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A slice that was found sound, with its events decoded: all that can be done before its transaction begins."""

    events: Slice
    arrivals: Sequence[Arrival]


class Decoder:
    """Decodes the events of a batch whose classes are `wanted`."""

    def __init__(self, registry: Registry, codec: PayloadCodec, keys: Keys, wanted: frozenset[type[Event]]) -> None:
        self._codec = codec
        self._keys = keys
        self._contracts = registry.by_topic
        self._wanted = wanted
        self._personal = {cls.TOPIC for cls in wanted if cls.personal_fields()}

    async def decode(self, slices: Sequence[Slice]) -> Sequence[Arrival]:
        """In the order of the slices. Raises ServiceUnavailable when the vault cannot be reached."""
        rows = [(events.partition, row) for events in slices for row in events.rows]
        subjects = self._subjects([row for _, row in rows])
        keys = await self._keys.keys_of(set(subjects.values())) if subjects else {}
        with watched() as watch:
            return [self._arrival(partition, row, keys, subjects, watch) for partition, row in rows]

    def _subjects(self, rows: Sequence[StoredRow]) -> Mapping[int, Pair]:
        """(tenant, subject) by position, for the events with personal fields."""
        subjects = {}
        for row in rows:
            if row.topic in self._contracts and row.topic not in self._personal:
                continue
            try:
                subject = self._codec.subject_of(row)
            except Exception:  # noqa: BLE001, S112 - whatever is wrong with the event shows again when it is decoded
                continue
            if subject is not None:
                subjects[row.position] = (row.tenant, subject)
        return subjects

    def _arrival(
        self,
        partition: int,
        row: StoredRow,
        keys: Mapping[Pair, SubjectKey],
        subjects: Mapping[int, Pair],
        watch: Watch,
    ) -> Arrival:
        contract = self._contracts.get(row.topic)
        if contract is not None and contract not in self._wanted:
            return Arrival(partition, row, contract)
        pair = subjects.get(row.position)
        watch.busy = row
        try:
            recorded = self._codec.decode(row, keys.get(pair) if pair else None)
        except Exception as error:  # noqa: BLE001 - a payload may break any upcaster; its aggregate is parked
            return Arrival(partition, row, contract, trouble=Trouble.of(error))
        finally:
            watch.busy = None
        return Arrival(partition, row, type(recorded.event), recorded)
