"""The audit copy of the log: every event exactly as it is stored, added and never changed."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import orjson
import psycopg
from psycopg import AsyncConnection, sql

from query_service.projector.batch import NotTheLog, Slice
from shared_kernel.events.envelope import StoredRow

_FIELDS = {
    "position": "bigint",
    "tenant": "text",
    "tenant_seq": "bigint",
    "stream": "text",
    "version": "bigint",
    "topic": "text",
    "payload_format": "smallint",
    "payload": "bytea",
    "metadata": "bytea",
    "event_id": "uuid",
    "recorded_at": "bigint",
    "slot": "integer",
    "leaf_version": "smallint",
    "leaf_hash": "bytea",
}
_GIVEN = {"epoch": "bigint", **_FIELDS, "actor": "text", "correlation_id": "text"}
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _GIVEN))
_ARRAYS = sql.SQL(", ").join(sql.SQL(f"%s::{kind}[]") for kind in _GIVEN.values())
_COPY = sql.SQL("""
    INSERT INTO public.audit_events ({columns}) SELECT {columns} FROM unnest({arrays}) AS given ({columns})
    ON CONFLICT ON CONSTRAINT audit_events_position_pk DO NOTHING
""").format(columns=_COLUMNS, arrays=_ARRAYS)
_SAME = sql.SQL("""
    SELECT count(*) FROM public.audit_events AS kept
      JOIN unnest(%s::bigint[], %s::bytea[]) AS given (position, leaf_hash) USING (position, leaf_hash)
""")
_VALUES = attrgetter(*_FIELDS)


async def copy(connection: AsyncConnection[Any], slices: Sequence[Slice]) -> None:
    """Add these events. Raises NotTheLog if a position is already taken by another event."""
    rows = [row for events in slices for row in events.rows]
    epochs = [events.epoch for events in slices for _ in events.rows]
    fields = [list(column) for column in zip(*map(_VALUES, rows), strict=True)]
    actors, correlations = zip(*map(_who, rows), strict=True)
    try:
        cursor = await connection.execute(_COPY, [epochs, *fields, list(actors), list(correlations)], binary=True)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        name = error.diag.constraint_name or type(error).__name__
        raise NotTheLog(f"The audit copy refuses what has just arrived ({name}).") from error
    if cursor.rowcount < len(rows):
        await _require_same(connection, rows)


async def _require_same(connection: AsyncConnection[Any], rows: Sequence[StoredRow]) -> None:
    cursor = await connection.execute(_SAME, ([row.position for row in rows], [row.leaf_hash for row in rows]))
    if await cursor.fetchone() != (len(rows),):
        raise NotTheLog("The audit copy holds another event under a position that has just arrived.")


def _who(row: StoredRow) -> tuple[str | None, str | None]:
    """Actor and correlation id, to be searched by; None where the metadata do not say."""
    try:
        metadata = orjson.loads(row.metadata)
        return _text(metadata.get("actor")), _text(metadata.get("correlation_id"))
    except (AttributeError, ValueError):
        return None, None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and "\x00" not in value else None
