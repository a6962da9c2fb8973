"""The base of every event contract and the marker for personal fields."""

from dataclasses import dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo


@dataclass(frozen=True)
class PersonalMarker:
    """Marks a field that is encrypted under its subject's key before the event is stored."""

    credential: bool = False


Personal = Annotated[str, PersonalMarker()]
"""A string about a person: ciphertext in every store, stream and backup; `ERASED` once the key is destroyed."""

Credential = Annotated[str, PersonalMarker(credential=True)]
"""A personal field that no reader of the log is ever shown, whatever their rights, such as a password hash."""

ERASED = "[erased]"


class Event(BaseModel):
    """Something that happened. Frozen; unknown fields from newer releases are tolerated on read.

    `TOPIC` is the stored name, `<feature>.<Name>.v<n>`: never a Python path, never changed.
    `SUBJECT` names the field with the id of the person whose key encrypts the personal fields.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    TOPIC: ClassVar[str]
    SUBJECT: ClassVar[str | None] = None

    @classmethod
    def personal_fields(cls) -> tuple[str, ...]:
        """Names of the fields annotated `Personal` or `Credential`, in declaration order."""
        return _marked(cls, _PERSONAL)

    @classmethod
    def credential_fields(cls) -> tuple[str, ...]:
        """Names of the fields annotated `Credential`."""
        return _marked(cls, _CREDENTIAL)

    @property
    def subject(self) -> str | None:
        """The id of the person the personal fields are about, or None for an event without any."""
        return None if self.SUBJECT is None else str(getattr(self, self.SUBJECT))


_PERSONAL = frozenset({PersonalMarker(), PersonalMarker(credential=True)})
_CREDENTIAL = frozenset({PersonalMarker(credential=True)})


@lru_cache(maxsize=1_024)  # asked of every event that is written, and a class never changes
def _marked(event: type[Event], markers: frozenset[PersonalMarker]) -> tuple[str, ...]:
    fields = event.model_fields.items()
    return tuple(name for name, field in fields if any(mark in markers for mark in _marks_of(field)))


def _marks_of(field: FieldInfo) -> list[Any]:
    """What the field is annotated with, itself or, when it may be None, its other type."""
    types = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    if len(types) == 2 and NoneType in types:
        return [*field.metadata, *(mark for each in types for mark in getattr(each, "__metadata__", ()))]
    return field.metadata
