"""Parked events as operators see them: by cause, and one by one without what is personal."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql
from psycopg.rows import args_row, dict_row

from query_service.projector.bootstrap import Equipment
from query_service.projector.folding import Stream
from query_service.projector.parking import ParkedStream
from shared_kernel.events.envelope import StoredRow
from shared_kernel.privacy.payload import PayloadCodec

_PARKED = sql.SQL("""
    SELECT position, generation, reason, fingerprint, attempts, parked_at::text AS parked_at, tried_at::text AS tried_at
      FROM public.parked_events
     WHERE projection = %s AND tenant = %s AND stream = %s ORDER BY position, generation
""")
_ROWS = sql.SQL("""
    SELECT position, tenant, tenant_seq, stream, version, topic, payload_format, payload, metadata, event_id,
           recorded_at, slot, leaf_version, leaf_hash
      FROM public.audit_events WHERE position = ANY(%s)
""")


def causes(found: Sequence[ParkedStream]) -> Sequence[Mapping[str, Any]]:
    """Streams that stand still for the same reason as one, the most frequent first."""
    groups: dict[str, list[ParkedStream]] = {}
    for each in found:
        groups.setdefault(each.fingerprint, []).append(each)
    return [
        {
            "fingerprint": fingerprint,
            "reason": streams[0].reason,
            "streams": len(streams),
            "events": sum(each.events for each in streams),
        }
        for fingerprint, streams in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]


async def events(equipment: Equipment, projection: str, stream: Stream) -> Sequence[Mapping[str, Any]]:
    """The parked events of a stream in order, personal fields redacted."""
    async with equipment.tools.pool.connection() as connection:
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_PARKED, (projection, *stream))
            parked = await cursor.fetchall()
        async with connection.cursor(binary=True, row_factory=args_row(StoredRow)) as cursor:
            await cursor.execute(_ROWS, ([each["position"] for each in parked],))
            rows = {row.position: row for row in await cursor.fetchall()}
    codec = PayloadCodec(equipment.registry)
    return [
        {**each, "topic": row.topic, "version": row.version, "data": _shown(codec, row)}
        for each in parked
        if (row := rows.get(each["position"]))
    ]


def _shown(codec: PayloadCodec, row: StoredRow) -> Any:
    """None for bytes that nobody can read: they may be why the event is parked."""
    try:
        return codec.redacted(row)
    except Exception:  # noqa: BLE001 - whatever is wrong with the payload, the rest is worth showing
        return None
