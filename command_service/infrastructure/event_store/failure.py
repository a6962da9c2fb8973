"""What an error means for a batch: is it in the log, is it worth another try, whose fault was it?"""

from enum import Enum

import psycopg

from command_service.infrastructure.event_store.batch import Unencodable
from command_service.infrastructure.event_store.port import (
    AppendConflict,
    EventIdTaken,
    MalformedAppend,
    StoreUnavailable,
)
from shared_kernel.errors import TwinlogError


class Failure(Enum):
    """LOST: the connection is gone and the batch may be in the log. LATER: the server refused it for now.
    POISONED: one of the items cannot be stored. BROKEN: the server refuses them all, and would again.
    """

    LOST = "lost"
    LATER = "later"
    POISONED = "poisoned"
    BROKEN = "broken"


_LATER_CLASSES = ("40", "53", "55", "57")
"""Rolled back, out of resources, a lock or a time-out, an operator at work."""

_LATER_STATES = ("25006",)
"""A standby that is not promoted yet."""

_DISK_FULL = "53100"
"""Somebody has to make room: whoever waits hears so at once."""

_POISONED_CLASSES = ("22", "23", "54")
"""Data, integrity, a limit of the program."""

_CONSTRAINTS: dict[str | None, type[TwinlogError]] = {
    "events_stream_version": AppendConflict,
    "events_event_id": EventIdTaken,
}


def failure(error: Exception, *, connected: bool) -> Failure:
    """Judge an error of the append call; `connected` tells whether the connection has survived it."""
    if isinstance(error, Unencodable):
        return Failure.POISONED
    if isinstance(error, psycopg.ProgrammingError):  # a verdict on the statement, whatever came after it
        return Failure.BROKEN
    if not connected or not isinstance(error, psycopg.Error):
        return Failure.LOST
    if isinstance(error, psycopg.OperationalError) and not error.sqlstate:  # the driver's word, on a connection before
        return Failure.LOST
    return _judged(error.sqlstate or "")


def _judged(state: str) -> Failure:
    if state in _LATER_STATES or (state[:2] in _LATER_CLASSES and state != _DISK_FULL):
        return Failure.LATER
    return Failure.POISONED if state[:2] in _POISONED_CLASSES else Failure.BROKEN


def named(error: Exception) -> TwinlogError:
    """What the caller of a single append hears, with the error as its cause."""
    refusal = _named(error)
    refusal.__cause__ = error
    return refusal


def _named(error: Exception) -> TwinlogError:
    if isinstance(error, Unencodable):
        return MalformedAppend(f"The log cannot hold this append: {error}.")
    if not isinstance(error, psycopg.Error) or (error.sqlstate or "")[:2] not in _POISONED_CLASSES:
        return StoreUnavailable()
    if error.diag.constraint_name in _CONSTRAINTS:
        return _CONSTRAINTS[error.diag.constraint_name]()
    return MalformedAppend(f"The log cannot hold this append: {error.diag.message_primary}.")
