"""PostgreSQL arrays in the binary wire format, packed in one go: the driver's own lists cost several times more.

Layout (array_recv): dimensions, has-null flag, element type, length, lower bound, then length-prefixed elements.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

_SMALLINT, _INTEGER, _BIGINT, _TEXT, _BYTEA, _UUID = 21, 23, 20, 25, 17, 2950
"""Element types, by the numbers that PostgreSQL has for them."""

_header = struct.Struct(">iiIii").pack
_empty = struct.Struct(">iiI").pack
_length = struct.Struct(">i").pack
_NULL = _length(-1)


def text(values: Sequence[str]) -> bytes:
    return _packed(_TEXT, [value.encode() for value in values])


def bytea(values: Sequence[bytes]) -> bytes:
    return _packed(_BYTEA, values)


def uuids(values: Sequence[bytes]) -> bytes:
    """From sixteen bytes each."""
    return _packed(_UUID, values)


@lru_cache(maxsize=512)
def smallint(values: tuple[int, ...]) -> bytes:
    """Batches say the same again and again: the format of each event, the status of each answer."""
    return _fixed(_SMALLINT, 2, "ih", values)


@lru_cache(maxsize=512)
def integer(values: tuple[int, ...]) -> bytes:
    """The same: they number their items 1, 2, 3, have one event each, and are of one tenant."""
    return _fixed(_INTEGER, 4, "ii", values)


def bigint(values: Sequence[int]) -> bytes:
    return _fixed(_BIGINT, 8, "iq", values)


def nullable_bigint(values: Sequence[int | None]) -> bytes:
    elements = [_NULL if value is None else struct.pack(">iq", 8, value) for value in values]
    return b"".join((_start(_BIGINT, len(values)), *elements))


def _packed(element: int, values: Sequence[bytes]) -> bytes:
    parts = [_start(element, len(values))]
    for value in values:
        parts += (_length(len(value)), value)
    return b"".join(parts)


def _fixed(element: int, size: int, layout: str, values: Sequence[int]) -> bytes:
    elements = [part for value in values for part in (size, value)]
    return _start(element, len(values)) + struct.pack(">" + layout * len(values), *elements)


def _start(element: int, length: int) -> bytes:
    # The flag may say "has nulls" when there are none: the server looks for itself.
    return _header(1, 1, element, length, 1) if length else _empty(0, 0, element)
