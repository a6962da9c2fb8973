"""Streams and kept answers that are asked for at the same time come with one SELECT; the key says whose is whose."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, LiteralString

from command_service.infrastructure.event_store.port import STREAM_PAGE, IdempotencyRecord
from shared_kernel.coalescing import Coalescer
from shared_kernel.events.envelope import StoredRow

AT_ONCE = 4
"""As many as the store has readers, so that a long stream does not hold up the short ones."""

StreamKey = tuple[str, str]
"""(tenant, stream)"""
AnswerKey = tuple[str, str, bytes]
"""(tenant, actor, HMAC of the key)"""

Fetch = Callable[[Callable[..., Any], LiteralString, Sequence[Any]], Awaitable[list[Any]]]

# Each stream by the index of its own, whatever the planner may think of their number.
_STREAMS: LiteralString = """
SELECT {columns}
FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS wanted (of_tenant, named, after_version)
CROSS JOIN LATERAL (
    SELECT {columns} FROM {schema}.events
    WHERE tenant = wanted.of_tenant AND stream = wanted.named AND version > wanted.after_version
    ORDER BY version
) AS found
ORDER BY version
"""

# From the event on that the newest snapshot was taken after; further pages are asked for by themselves.
_STREAMS_FROM_SNAPSHOTS: LiteralString = """
SELECT {columns}
FROM unnest(%s::text[], %s::text[]) AS wanted (of_tenant, named)
CROSS JOIN LATERAL (
    SELECT {columns} FROM {schema}.events
    WHERE tenant = wanted.of_tenant AND stream = wanted.named AND version >= COALESCE((
        SELECT s.version FROM {schema}.snapshots s
        WHERE s.tenant = wanted.of_tenant AND s.purpose = 'state' AND s.stream = wanted.named
        ORDER BY s.version DESC LIMIT 1), 0)
    ORDER BY version LIMIT %s
) AS found
ORDER BY version
"""

_ANSWERS: LiteralString = """
SELECT i.tenant, i.actor, i.key, i.fingerprint, i.status, i.answer
FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS wanted (tenant, actor, key)
JOIN {schema}.idempotency i ON i.key = wanted.key AND i.actor = wanted.actor AND i.tenant = wanted.tenant
WHERE i.created_at >= (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint - 86400000000
"""


class Together:
    """`fetch` runs one query and answers rows of a shape; it raises what the reads of the store raise."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._streams = Coalescer(self._read_streams, at_once=AT_ONCE)
        self._from_snapshots = Coalescer(self._read_from_snapshots, at_once=AT_ONCE)
        self._answers = Coalescer(self._find_answers, at_once=AT_ONCE)

    async def stream(self, tenant: str, stream: str, after_version: int) -> list[StoredRow]:
        """The rows of one stream after a version, in version order."""
        return await self._streams.ask((tenant, stream, after_version))

    async def stream_from_snapshot(self, tenant: str, stream: str) -> list[StoredRow]:
        """The first page of one stream from its newest snapshot on."""
        return await self._from_snapshots.ask((tenant, stream))

    async def answer(self, tenant: str, actor: str, key: bytes) -> IdempotencyRecord | None:
        """The answer kept under one key of one actor."""
        return await self._answers.ask((tenant, actor, key))

    async def _read_streams(self, asked: Sequence[tuple[str, str, int]]) -> list[list[StoredRow]]:
        from_version: dict[StreamKey, int] = {}
        for tenant, stream, after in asked:
            from_version[(tenant, stream)] = min(after, from_version.get((tenant, stream), after))
        tenants, streams = zip(*from_version, strict=True)
        rows = await self._fetch(StoredRow, _STREAMS, (list(tenants), list(streams), list(from_version.values())))
        found: defaultdict[StreamKey, list[StoredRow]] = defaultdict(list)
        for row in rows:
            found[(row.tenant, row.stream)].append(row)
        return [[row for row in found[(tenant, stream)] if row.version > after] for tenant, stream, after in asked]

    async def _read_from_snapshots(self, asked: Sequence[StreamKey]) -> list[list[StoredRow]]:
        tenants, streams = zip(*dict.fromkeys(asked), strict=True)
        parameters = (list(tenants), list(streams), STREAM_PAGE)
        found: defaultdict[StreamKey, list[StoredRow]] = defaultdict(list)
        for row in await self._fetch(StoredRow, _STREAMS_FROM_SNAPSHOTS, parameters):
            found[(row.tenant, row.stream)].append(row)
        return [found[key] for key in asked]

    async def _find_answers(self, asked: Sequence[AnswerKey]) -> list[IdempotencyRecord | None]:
        tenants, actors, keys = zip(*dict.fromkeys(asked), strict=True)
        rows = await self._fetch(_kept, _ANSWERS, (list(tenants), list(actors), list(keys)))
        found = dict(rows)
        return [found.get(key) for key in asked]


def _kept(tenant: str, actor: str, *record: Any) -> tuple[AnswerKey, IdempotencyRecord]:
    return (tenant, actor, record[0]), IdempotencyRecord(actor, *record)
