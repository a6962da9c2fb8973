"""Identifiers: UUID version 7 (RFC 9562), sortable by time of making, made once and passed in."""

from typing import Protocol
from uuid import UUID

import uuid_utils


class Ids(Protocol):
    """Anything that makes new identifiers."""

    def new(self) -> UUID:
        """A fresh identifier."""
        ...


class Uuid7Ids:
    """Identifiers for production: time-ordered, unguessable enough to be names, never secrets."""

    def new(self) -> UUID:
        return UUID(int=uuid_utils.uuid7().int)
