"""Why an event could not be handled, told without quoting what is in it: that may be about a person."""

import hashlib
import traceback
from dataclasses import dataclass

import psycopg
from redis.exceptions import RedisError

from query_service.infrastructure.feed import FeedUnavailable
from shared_kernel.errors import ServiceUnavailable, TwinlogError
from shared_kernel.events.registry import UnknownTopic

UNWRITABLE = ("22", "23", "54")
"""SQLSTATE classes that blame the value: data exceptions, broken constraints, exceeded limits."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """`reason` for people; `fingerprint` is equal for equal causes, so that a hundred cases are one."""

    reason: str
    fingerprint: str

    @classmethod
    def of(cls, error: BaseException) -> "Trouble":
        kind = type(error).__name__
        if isinstance(error, TwinlogError):
            reason = f"{kind}: {error.detail}"
        elif isinstance(error, psycopg.Error):
            reason = f"{kind} (SQLSTATE {error.sqlstate}) {error.diag.constraint_name or ''}".rstrip()
        else:
            reason = f"{kind} {_where(error)}".rstrip()
        cause = error.detail if isinstance(error, UnknownTopic) else _where(error)  # each topic is a cause of its own
        return cls(reason, _fingerprint(kind, cause))

    @classmethod
    def behind(cls) -> "Trouble":
        """An event that only waits for an earlier one of its stream."""
        return cls("waits behind an earlier event of its stream", "behind")


def unwritable(error: psycopg.Error) -> bool:
    """Whether the values are to blame for a failed statement, not the server or the connection."""
    return (error.sqlstate or "")[:2] in UNWRITABLE


def passing(error: Exception) -> bool:
    """Whether something that the work needs is away, so that the same work may well succeed later.

    A statement that takes too long, and a value that cannot be written, will do so again.
    """
    if isinstance(error, psycopg.Error):
        stays = isinstance(error, psycopg.errors.QueryCanceled) or unwritable(error)
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not stays
    return isinstance(error, RedisError | OSError | ServiceUnavailable | FeedUnavailable)


def said(error: Exception) -> str:
    """An error in the words of whoever raised it, if they are ours; else what it is and where it came from."""
    if isinstance(error, TwinlogError):
        return error.detail
    return type(error).__name__ if passing(error) else Trouble.of(error).reason


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]
