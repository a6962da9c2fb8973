"""PostgreSQL arrays in the binary wire format, packed in one go: the driver's own lists cost several times more.

Layout (array_recv): dimensions, has-null flag, element type, length, lower bound, then length-prefixed elements.
"""

import struct
from collections.abc import Sequence
from typing import Any

from psycopg import BaseConnection
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = struct.Struct(">iiIii")
_EMPTY = struct.Struct(">iiI")
_LENGTH = struct.Struct(">i").pack
_NULL = _LENGTH(-1)


class Array(bytes):
    """A packed array; each subclass is one PostgreSQL type."""

    oid: int
    element_oid: int


class TextArray(Array):
    """text[]"""

    oid, element_oid = 1009, 25


class ByteaArray(Array):
    """bytea[]"""

    oid, element_oid = 1001, 17


class UuidArray(Array):
    """uuid[]"""

    oid, element_oid = 2951, 2950


class SmallintArray(Array):
    """smallint[]"""

    oid, element_oid = 1005, 21


class IntegerArray(Array):
    """integer[]"""

    oid, element_oid = 1007, 23


class BigintArray(Array):
    """bigint[]"""

    oid, element_oid = 1016, 20


def text(values: Sequence[str]) -> TextArray:
    return TextArray(_packed(TextArray, [value.encode() for value in values]))


def bytea(values: Sequence[bytes]) -> ByteaArray:
    return ByteaArray(_packed(ByteaArray, values))


def uuids(values: Sequence[bytes]) -> UuidArray:
    """From sixteen bytes each."""
    return UuidArray(_packed(UuidArray, values))


def smallint(values: Sequence[int]) -> SmallintArray:
    return SmallintArray(_fixed(SmallintArray, 2, "ih", values))


def integer(values: Sequence[int]) -> IntegerArray:
    return IntegerArray(_fixed(IntegerArray, 4, "ii", values))


def bigint(values: Sequence[int]) -> BigintArray:
    return BigintArray(_fixed(BigintArray, 8, "iq", values))


def nullable_bigint(values: Sequence[int | None]) -> BigintArray:
    elements = b"".join(_NULL if value is None else struct.pack(">iq", 8, value) for value in values)
    return BigintArray(_header(BigintArray, len(values)) + elements)


def register(connection: BaseConnection[Any]) -> None:
    """Teach a connection to send packed arrays as they are."""
    for kind in (TextArray, ByteaArray, UuidArray, SmallintArray, IntegerArray, BigintArray):
        connection.adapters.register_dumper(kind, _dumper(kind))


def _packed(kind: type[Array], values: Sequence[bytes]) -> bytes:
    return _header(kind, len(values)) + b"".join([part for value in values for part in (_LENGTH(len(value)), value)])


def _fixed(kind: type[Array], size: int, element: str, values: Sequence[int]) -> bytes:
    elements = [part for value in values for part in (size, value)]
    return _header(kind, len(values)) + struct.pack(">" + element * len(values), *elements)


def _header(kind: type[Array], length: int) -> bytes:
    # The flag may say "has nulls" when there are none: the server looks for itself.
    return _HEADER.pack(1, 1, kind.element_oid, length, 1) if length else _EMPTY.pack(0, 0, kind.element_oid)


def _dumper(kind: type[Array]) -> type[Dumper]:
    class ArrayDumper(Dumper):
        format = Format.BINARY
        oid = kind.oid

        def dump(self, obj: Any) -> Buffer:
            return bytes(obj) if not isinstance(obj, bytes) else obj

    return ArrayDumper
