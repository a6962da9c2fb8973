"""Events to stored bytes and back: JSON whose personal fields are ciphertext under their subject's key.

Stored form: the event's fields as one JSON object with sorted names. A personal field holds a text ciphertext
(`shared_kernel.privacy.cipher`) whose AAD binds tenant, stream, version and field name. The extra member `$sealed`
lists the fields that are ciphertext, so that a reader can tell them from clear text without knowing the event.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import orjson
from pydantic import ValidationError

from shared_kernel.errors import TwinlogError
from shared_kernel.events.contract import ERASED, Event, PersonalMarker
from shared_kernel.events.envelope import JSON, Metadata, Recorded, StoredRow
from shared_kernel.events.registry import Registry, UnknownTopic
from shared_kernel.events.upcasters import UPCASTERS, Data, Upcaster, upcast
from shared_kernel.privacy.cipher import SubjectKey, Unreadable, bind, open_sealed, seal

SEALED = "$sealed"
REDACTED = "[redacted]"


class KeyNeeded(TwinlogError):
    """An event with personal fields cannot be stored without its subject's key."""


class UnreadablePayload(TwinlogError):
    """A stored event is not what this release can read: changed, cut, of unknown shape or under another key."""


class PayloadCodec:
    """Encodes and decodes the events of one registry; upcasters lead old topics to the newest on read.

    Raises ValueError when an event class has personal fields but names no subject, or has them inside other fields.
    """

    def __init__(self, registry: Registry, steps: Mapping[str, Upcaster] | None = None) -> None:
        self._registry = registry
        self._steps = UPCASTERS if steps is None else steps
        self._personal = {cls: _sealable_fields(cls) for cls in registry.by_topic.values()}

    def encode(self, event: Event, *, tenant: str, stream: str, version: int, key: SubjectKey | None) -> bytes:
        """The bytes to store as version `version` of the stream.

        Raises KeyNeeded when personal fields lack a key and UnknownTopic for an event outside the registry.
        """
        if type(event) not in self._personal:
            raise UnknownTopic(f"The topic {event.TOPIC!r} is not in the registry.")
        data = event.model_dump(mode="json")
        sealed = [name for name in self._personal[type(event)] if data[name] is not None]
        if sealed:
            if key is None:
                raise KeyNeeded
            data |= {name: seal(key, data[name], _aad(tenant, stream, version, name)) for name in sealed}
            data[SEALED] = sealed
        return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)

    def subject_of(self, row: StoredRow) -> str | None:
        """The id of the person whose key opens this row's personal fields; None when it has none.

        Raises UnknownTopic and UnreadablePayload.
        """
        data, sealed = _read(row)
        if not sealed:
            return None
        cls, data = self._newest(row, data)
        if cls.SUBJECT not in data:
            raise _unreadable(row, "has personal fields, but does not say whose")
        return str(data[cls.SUBJECT])

    def decode(self, row: StoredRow, key: SubjectKey | None) -> Recorded[Event]:
        """The event in its newest version; without a key each personal field is `ERASED`.

        Raises UnknownTopic and UnreadablePayload.
        """
        data, sealed = _read(row)
        for name in sealed:
            data[name] = ERASED if key is None else _open(key, row, name, data[name])
        cls, data = self._newest(row, data)
        try:
            event = cls.__pydantic_validator__.validate_python(data)  # directly, as in `Metadata.decode`
            return Recorded(event, row, Metadata.decode(row.metadata))
        except (ValidationError, ValueError):
            raise _unreadable(row, "does not fit its contract") from None  # the cause quotes personal values

    def redacted(self, row: StoredRow) -> dict[str, Any]:
        """The stored fields for people without a right to the personal ones, which read `[redacted]`; needs no key.

        A payload of unknown shape (written through the persistence module) shows only its size.
        """
        if row.payload_format != JSON:
            return {"bytes": len(row.payload)}
        data, sealed = _read(row)
        return data | dict.fromkeys(sealed, REDACTED)

    def register_with_eventsourcing(self) -> None:
        """Tell the `eventsourcing` library our topics, so that it never stores or resolves a Python path for them."""
        from eventsourcing.utils import register_topic  # noqa: PLC0415 - only the event store needs the library

        register: Callable[[str, type[Event]], None] = register_topic
        for topic, cls in self._registry.by_topic.items():
            register(topic, cls)

    def _newest(self, row: StoredRow, data: Data) -> tuple[type[Event], Data]:
        try:
            topic, data = upcast(row.topic, data, self._steps)
        except (KeyError, TypeError, ValueError):
            raise _unreadable(row, "cannot be led to its newest version") from None
        return self._registry.resolve(topic), data


def _sealable_fields(cls: type[Event]) -> tuple[str, ...]:
    """The personal fields in order of name. Raises ValueError for a class whose personal data would stay clear."""
    sealed = tuple(sorted(cls.personal_fields()))
    if sealed and (cls.SUBJECT is None or cls.SUBJECT not in cls.model_fields):
        raise ValueError(f"{cls.TOPIC} has personal fields, but SUBJECT names none of its fields")
    for name, field in cls.model_fields.items():
        if name not in sealed and _mentions_personal(field.annotation):
            raise ValueError(f"{cls.TOPIC} hides personal data inside {name!r}; only a whole field can be encrypted")
    return sealed


def _mentions_personal(annotation: Any) -> bool:
    marks = getattr(annotation, "__metadata__", ())
    return any(isinstance(mark, PersonalMarker) for mark in marks) or any(
        _mentions_personal(inner) for inner in get_args(annotation)
    )


def _aad(tenant: str, stream: str, version: int, field: str) -> bytes:
    return bind(tenant, stream, str(version), field)


def _open(key: SubjectKey, row: StoredRow, name: str, text: object) -> str:
    try:
        return open_sealed(key, str(text), _aad(row.tenant, row.stream, row.version, name))
    except Unreadable as error:
        raise _unreadable(row, f"cannot be opened in its field {name!r}") from error


def _read(row: StoredRow) -> tuple[Data, list[str]]:
    """The JSON object and the names of its sealed fields. Raises UnreadablePayload."""
    if row.payload_format != JSON:
        raise _unreadable(row, "has a payload of unknown shape")
    try:
        data = orjson.loads(row.payload)
    except orjson.JSONDecodeError as error:
        raise _unreadable(row, "is not JSON") from error
    if not isinstance(data, dict):
        raise _unreadable(row, "is not a JSON object")
    sealed = data.pop(SEALED, [])
    if not isinstance(sealed, list) or not all(isinstance(name, str) and name in data for name in sealed):
        raise _unreadable(row, f"has a broken {SEALED} list")
    return data, sealed


def _unreadable(row: StoredRow, why: str) -> UnreadablePayload:
    return UnreadablePayload(f"The event at position {row.position} {why}.")
