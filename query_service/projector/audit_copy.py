"""The audit copy of the log: every event exactly as it is stored, added and never changed."""

import struct
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection, sql

from query_service.projector.batch import NotTheLog, Slice
from shared_kernel.events.envelope import StoredRow

Connection = AsyncConnection[Any]

_FIELDS = {
    "position": "int8",
    "tenant": "text",
    "tenant_seq": "int8",
    "stream": "text",
    "version": "int8",
    "topic": "text",
    "payload_format": "int2",
    "payload": "bytea",
    "metadata": "bytea",
    "event_id": "uuid",
    "recorded_at": "int8",
    "slot": "int4",
    "leaf_version": "int2",
    "leaf_hash": "bytea",
}
_TYPES = {"epoch": "int8", **_FIELDS, "actor": "text", "correlation_id": "text"}
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _TYPES))
_COPY = sql.SQL("COPY public.audit_events ({columns}) FROM STDIN (FORMAT BINARY)").format(columns=_COLUMNS)
_MERGE = sql.SQL("""
    INSERT INTO public.audit_events ({columns}) VALUES ({values})
    ON CONFLICT ON CONSTRAINT audit_events_position_pk DO NOTHING
""").format(columns=_COLUMNS, values=sql.SQL(", ").join(sql.Placeholder() * len(_TYPES)))
_SAME = sql.SQL("""
    SELECT count(*) FROM public.audit_events AS kept
      JOIN unnest(%s::bigint[], %s::bytea[]) AS given (position, leaf_hash) USING (position, leaf_hash)
""")
_VALUES = attrgetter(*_FIELDS)

# What stands around the values in the binary form of COPY; the columns are those of _TYPES, in that order.
_BEGIN = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = struct.pack(">h", -1)
_NULL = struct.pack(">i", -1)
_LENGTH = struct.Struct(">i").pack
_FIRST = struct.Struct(">hiqiqi").pack
_LONG = struct.Struct(">iqi").pack
_SHORT = struct.Struct(">ihi").pack
_LAST = struct.Struct(">i16siqiiihi").pack


async def add(connection: Connection, slices: Sequence[Slice]) -> None:
    """Add events that are new here. Raises psycopg.IntegrityError if one is there already."""
    packed = [_packed(events.epoch, row) for events in slices for row in events.rows]
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        await copy.write(b"".join((_BEGIN, *packed, _END)))


async def merge(connection: Connection, slices: Sequence[Slice]) -> None:
    """Add events of which some may be here already. Raises NotTheLog if a position holds another event."""
    try:
        async with connection.cursor() as cursor:
            await cursor.executemany(_MERGE, [_values(each.epoch, row) for each in slices for row in each.rows])
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        name = error.diag.constraint_name or type(error).__name__
        raise NotTheLog(f"The audit copy refuses what has just arrived ({name}).") from error
    await _require_same(connection, [row for events in slices for row in events.rows])


async def _require_same(connection: Connection, rows: Sequence[StoredRow]) -> None:
    same = await connection.execute(_SAME, ([row.position for row in rows], [row.leaf_hash for row in rows]))
    if await same.fetchone() != (len(rows),):
        raise NotTheLog("The audit copy holds another event under a position that has just arrived.")


def _packed(epoch: int, row: StoredRow) -> bytes:
    """A row as COPY reads it: the number of columns, then each behind its length. The driver takes twice as long."""
    tenant, stream, topic = row.tenant.encode(), row.stream.encode(), row.topic.encode()
    actor, correlation_id = _who(row)
    return b"".join(
        (
            _FIRST(len(_TYPES), 8, epoch, 8, row.position, len(tenant)),
            tenant,
            _LONG(8, row.tenant_seq, len(stream)),
            stream,
            _LONG(8, row.version, len(topic)),
            topic,
            _SHORT(2, row.payload_format, len(row.payload)),
            row.payload,
            _LENGTH(len(row.metadata)),
            row.metadata,
            _LAST(16, row.event_id.bytes, 8, row.recorded_at, 4, row.slot, 2, row.leaf_version, len(row.leaf_hash)),
            row.leaf_hash,
            _packed_text(actor),
            _packed_text(correlation_id),
        )
    )


def _packed_text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    data = value.encode()
    return _LENGTH(len(data)) + data


def _values(epoch: int, row: StoredRow) -> tuple[Any, ...]:
    return (epoch, *_VALUES(row), *_who(row))


def _who(row: StoredRow) -> tuple[str | None, str | None]:
    """Actor and correlation id, to be searched by; None where the metadata do not say."""
    try:
        metadata = orjson.loads(row.metadata)
        return _text(metadata.get("actor")), _text(metadata.get("correlation_id"))
    except (AttributeError, ValueError):
        return None, None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and "\x00" not in value else None
