"""Trying parked events again, in order, with the code of today; and doing without one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from query_service.projector import checkpoints
from query_service.projector.batch import digest
from query_service.projector.checkpoints import Unit
from query_service.projector.engine import CHANNEL, Engine
from query_service.projector.folding import Parked, Stream
from query_service.projector.trouble import Trouble, passing
from shared_kernel.errors import Refusal
from shared_kernel.events.envelope import StoredRow

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[Connection]

_EVENTS = sql.SQL("""
    SELECT a.position, a.tenant, a.tenant_seq, a.stream, a.version, a.topic, a.payload_format, a.payload, a.metadata,
           a.event_id, a.recorded_at, a.slot, a.leaf_version, a.leaf_hash
      FROM public.parked_events AS k JOIN public.audit_events AS a ON a.position = k.position
     WHERE k.projection = %s AND k.generation = %s AND k.tenant = %s AND k.stream = %s ORDER BY a.position
""")
_WHERE = sql.SQL("""
    SELECT DISTINCT generation, partition FROM public.parked_events
     WHERE projection = %s AND tenant = %s AND stream = %s ORDER BY generation
""")
_LOCK = sql.SQL("""
    SELECT position FROM public.checkpoints WHERE projection = %s AND generation = %s AND partition = %s FOR UPDATE
""")
_HANDLED = sql.SQL("""
    DELETE FROM public.parked_events WHERE projection = %s AND generation = %s AND position = ANY(%s)
""")
_STILL = sql.SQL("""
    UPDATE public.parked_events SET attempts = attempts + 1, tried_at = now(), reason = %s, fingerprint = %s
     WHERE projection = %s AND generation = %s AND position = %s
""")
_ADD = sql.SQL("""
    UPDATE public.checkpoints SET handled_sum = mod(handled_sum + %s, 2::numeric ^ 256)
     WHERE projection = %s AND generation = %s AND partition = %s
""")
_FIRST = sql.SQL("""
    SELECT min(position) FROM public.parked_events
     WHERE projection = %s AND generation = %s AND tenant = %s AND stream = %s
""")
_SKIP = sql.SQL("""
    INSERT INTO public.skipped_events (projection, position, partition, tenant, stream, topic, reason, actor)
    SELECT projection, position, partition, tenant, stream, topic, %s, %s FROM public.parked_events
     WHERE projection = %s AND position = %s LIMIT 1
    ON CONFLICT ON CONSTRAINT skipped_events_pk DO NOTHING
""")
_GONE = sql.SQL("DELETE FROM public.parked_events WHERE projection = %s AND position = %s")
_NOTIFY = sql.SQL("SELECT pg_notify(%s, '')")


class NothingParked(Refusal):
    """No event of this stream is parked for this read model."""


class NotTheFirst(Refusal):
    """Another event of the stream is parked before this one; they are handled in order."""


@dataclass(frozen=True, slots=True)
class Retried:
    """What trying again came to in one generation; `reason` is why the event at `stopped_at` is parked still."""

    generation: str
    handled: int
    parked: int
    stopped_at: int | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


async def retry(
    pool: Pool, engine: Engine, projection: str, stream: Stream, *, dry_run: bool = False
) -> Sequence[Retried]:
    """Try the parked events of a stream again in each generation; with `dry_run` only find out how it would go.

    Raises NothingParked and what `Engine.fold_again` raises.
    """
    async with pool.connection() as connection:
        places = await _places(connection, projection, stream)
        if not places:
            raise NothingParked
        async with connection.transaction(force_rollback=dry_run):
            outcomes = [
                await _again(connection, engine, Unit(projection, generation), stream, partition)
                for generation, partition in places
            ]
            await connection.execute(_NOTIFY, (CHANNEL,))
        return outcomes


async def skip(
    pool: Pool, engine: Engine, projection: str, stream: Stream, position: int, *, reason: str, actor: str
) -> Sequence[Retried]:
    """Do without the first parked event of a stream, then try the others. Raises NothingParked and NotTheFirst."""
    async with pool.connection() as connection, connection.transaction():
        places = await _places(connection, projection, stream)
        await _require_first(connection, projection, stream, position, places)
        for generation, partition in places:
            await _lock(connection, Unit(projection, generation), partition)
        await connection.execute(_SKIP, (reason, actor, projection, position))
        await connection.execute(_GONE, (projection, position))
        outcomes = [
            await _again(connection, engine, Unit(projection, generation), stream, partition)
            for generation, partition in places
        ]
        await connection.execute(_NOTIFY, (CHANNEL,))
        return outcomes


async def _places(connection: Connection, projection: str, stream: Stream) -> Sequence[tuple[str, int]]:
    """In which generations, and in which partition, the stream is parked."""
    return await (await connection.execute(_WHERE, (projection, *stream))).fetchall()


async def _require_first(
    connection: Connection, projection: str, stream: Stream, position: int, places: Sequence[tuple[str, int]]
) -> None:
    firsts: set[int] = set()
    for generation, _ in places:
        found = await (await connection.execute(_FIRST, (projection, generation, *stream))).fetchone()
        firsts.update(found or ())
    if not firsts:
        raise NothingParked
    if position not in firsts:
        named = ", ".join(map(str, sorted(firsts)))
        raise NotTheFirst(f"The first parked event of this stream is at position {named}; begin there.")


async def _lock(connection: Connection, unit: Unit, partition: int) -> None:
    """Neither a live batch nor one that catches up can be at work on this partition of the unit."""
    await checkpoints.lock_gates(connection, [partition])
    await connection.execute(_LOCK, (unit.projection, unit.generation, partition))


async def _again(connection: Connection, engine: Engine, unit: Unit, stream: Stream, partition: int) -> Retried:
    await _lock(connection, unit, partition)
    async with connection.cursor(binary=True, row_factory=class_row(StoredRow)) as cursor:
        await cursor.execute(_EVENTS, (unit.projection, unit.generation, *stream))
        rows = await cursor.fetchall()
    if not rows:
        return Retried(unit.generation, 0, 0)
    parked = (await engine.fold_again(connection, unit, rows, partition)).parked
    still = {event.row.position for event in parked}
    await _keep_books(connection, unit, partition, [row for row in rows if row.position not in still], parked)
    if not parked:
        return Retried(unit.generation, len(rows), 0)
    first = parked[0]
    return Retried(unit.generation, len(rows) - len(still), len(still), first.row.position, first.trouble.reason)


async def _keep_books(
    connection: Connection, unit: Unit, partition: int, handled: Sequence[StoredRow], parked: Sequence[Parked]
) -> None:
    named = (unit.projection, unit.generation)
    if handled:
        await connection.execute(_HANDLED, (*named, [row.position for row in handled]))
        await connection.execute(_ADD, (sum(map(digest, handled)), *named, partition))
    if parked:
        trouble = parked[0].trouble
        await connection.execute(_STILL, (trouble.reason, trouble.fingerprint, *named, parked[0].row.position))


_TRIED = sql.SQL("""
    UPDATE public.parked_events SET attempts = attempts + 1, tried_at = now(), reason = %s, fingerprint = %s
     WHERE projection = %s AND tenant = %s AND stream = %s AND fingerprint <> 'behind'
""")
_DUE = sql.SQL("""
    SELECT DISTINCT projection, tenant, stream FROM public.parked_events AS k
     WHERE fingerprint <> 'behind' AND attempts < %s AND projection = ANY(%s)
       AND tried_at < now() - make_interval(secs => %s * 2.0 ^ (attempts - 1)) LIMIT 100
""")
FIRST_PAUSE = 1.0
"""Seconds until the first automatic retry; each further pause is twice as long."""

MOST_ATTEMPTS = 5
"""How often an event is tried before it waits for an operator."""


async def retry_due(pool: Pool, engine: Engine, projections: Mapping[str, Any]) -> int:
    """Try again what is parked and has been tried less than `MOST_ATTEMPTS` times; how many streams that were.

    A stream that cannot even be tried counts as tried: it must not hold up the others, nor come again for ever.
    Raises what is passing, such as ServiceUnavailable while the vault is away: no stream is to blame for that.
    """
    async with pool.connection() as connection:
        cursor = await connection.execute(_DUE, (MOST_ATTEMPTS, list(projections), FIRST_PAUSE))
        due = await cursor.fetchall()
    for projection, tenant, stream in due:
        try:
            await retry(pool, engine, projection, (tenant, stream))
        except (NothingParked, psycopg.errors.LockNotAvailable):
            continue  # somebody else was faster, or works on it just now
        except Exception as error:
            if passing(error):
                raise
            await _tried(pool, projection, (tenant, stream), Trouble.of(error))
    return len(due)


async def _tried(pool: Pool, projection: str, stream: Stream, trouble: Trouble) -> None:
    async with pool.connection() as connection:
        await connection.execute(_TRIED, (trouble.reason, trouble.fingerprint, projection, *stream))
