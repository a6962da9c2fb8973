"""Time arrives as an argument; this is where it comes from."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Anything that tells the time."""

    def now(self) -> datetime:
        """The present moment, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z, exact (no float in between)."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def moment(recorded_at: int) -> datetime:
    """The reverse of `microseconds`: the same instant as a datetime in UTC."""
    return EPOCH + timedelta(microseconds=recorded_at)


def rfc3339(recorded_at: int) -> str:
    """Microseconds since the epoch as RFC 3339 in UTC with six decimals and a `Z`."""
    seconds, micros = divmod(recorded_at, 1_000_000)
    return f"{_to_the_second(seconds)}.{micros:06d}Z"


@functools.lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    """Events are read in order, so that most share their second with the one before."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
