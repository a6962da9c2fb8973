"""The base of every event contract and the marker for personal fields."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class PersonalMarker:
    """Marks a field that is encrypted under its subject's key before the event is stored."""


Personal = Annotated[str, PersonalMarker()]
"""A string about a person: ciphertext in every store, stream and backup; `ERASED` once the key is destroyed."""

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
        """Names of the fields annotated `Personal`, in declaration order."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if any(isinstance(mark, PersonalMarker) for mark in field.metadata)
        )

    @property
    def subject(self) -> str | None:
        """The id of the person the personal fields are about, or None for an event without any."""
        return None if self.SUBJECT is None else str(getattr(self, self.SUBJECT))
