"""Following the log into a new epoch, after it was restored from a backup.

What the copy and the log still agree on is found by their leaves, not believed. What the copy has beyond it is the lost
branch: it is set aside, with the epoch that ended it. A read model that has handled some of it begins anew, because
nobody can take back a fold; it answers no question until it is where the copy ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from query_service.infrastructure.feed import Feed
from query_service.infrastructure.projection import Projection
from query_service.projector import checkpoints
from query_service.projector.batch import NotTheLog
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.engine import CHANNEL
from shared_kernel.events.completeness import MODULUS, term
from shared_kernel.events.envelope import StoredRow
from shared_kernel.observability import get_logger

Connection = AsyncConnection[Any]

_BOOKS = sql.SQL("SELECT max(epoch) AS epoch, max(partition) + 1 AS partitions FROM public.checkpoints")
_NEWEST = sql.SQL("SELECT coalesce(max(position), 0) AS position FROM public.audit_events")
_BETWEEN = sql.SQL("""
    SELECT coalesce(
        (SELECT max(position) FROM public.audit_events WHERE position > %(low)s AND position <= %(middle)s),
        (SELECT min(position) FROM public.audit_events WHERE position > %(middle)s AND position < %(high)s)) AS position
""")
_LEAF = sql.SQL("SELECT leaf_hash FROM public.audit_events WHERE position = %s")
_LOST = sql.SQL("SELECT slot, position, leaf_hash FROM public.audit_events WHERE position > %s")
_SET_ASIDE = sql.SQL("SELECT public.set_lost_events_aside_v1(%s, %s) AS moved")
_TOO_FAR = sql.SQL("""
    SELECT DISTINCT projection, generation FROM public.checkpoints
     WHERE position > %s AND projection <> %s ORDER BY projection, generation
""")
_SET_BACK_LOG = sql.SQL("""
    UPDATE public.checkpoints AS c
       SET position = coalesce((SELECT max(a.position) FROM public.audit_events AS a
                                 WHERE a.slot %% %s = c.partition), 0),
           handled_sum = mod(c.handled_sum - %s + 2::numeric ^ 256, 2::numeric ^ 256)
     WHERE c.projection = %s AND c.partition = %s AND c.position > %s
""")
_SET_BACK = sql.SQL("""
    UPDATE public.checkpoints SET position = 0, handled_sum = 0 WHERE projection = %s AND generation = %s
""")
_FORGET_PARKED = sql.SQL("DELETE FROM public.parked_events WHERE projection = %s AND generation = %s")
_EMPTY = "TRUNCATE {}.{}"
_EPOCH = sql.SQL("UPDATE public.checkpoints SET epoch = %s")
_ORDERS_LOST = sql.SQL("""
    UPDATE public.orders SET state = 'refused', outcome = 'lost when the log was restored', settled_at = now()
     WHERE state = 'waiting' AND position > %s
""")
_ORDERS_KEPT = sql.SQL("UPDATE public.orders SET epoch = %s WHERE position <= %s AND epoch = %s")
_HEARD = sql.SQL("UPDATE public.orders_heard SET epoch = %s, position = least(position, %s)")
_LEARNT = sql.SQL("""
    INSERT INTO public.log_epochs (epoch, followed, agreed_upto, lost, whole_since)
    VALUES (%s, %s, %s, %s, CASE WHEN %s THEN now() END)
""")
_WHOLE = sql.SQL("""
    UPDATE public.log_epochs SET whole_since = now()
     WHERE whole_since IS NULL AND NOT EXISTS (
        SELECT 1 FROM public.checkpoints AS c
          JOIN public.projections AS p ON p.name = c.projection AND p.active = c.generation
          JOIN public.checkpoints AS gate
            ON gate.projection = %s AND gate.generation = %s AND gate.partition = c.partition
         WHERE c.position < gate.position)
""")
_NOTIFY = sql.SQL("SELECT pg_notify(%s, '')")


@dataclass(frozen=True, slots=True)
class Books:
    """What the query database says of the log it follows."""

    epoch: int
    partitions: int


async def follow(connection: Connection, feed: Feed, projections: Sequence[Projection]) -> int:
    """The epoch that our books are in afterwards; which one the log is in, only the log itself can say.

    Raises NotTheLog when there is no following, FeedUnavailable, psycopg.Error. Then nothing has happened.
    """
    epoch = (await feed.facts()).epoch
    async with connection.transaction():
        books = await _books(connection)
        await checkpoints.lock_gates(connection, range(books.partitions))
        books = await _books(connection)  # somebody else may have been faster
        if epoch > books.epoch:
            await _begin(connection, feed, projections, books, epoch)
    return max(epoch, books.epoch)


async def require_lineage(connection: Connection, feed: Feed) -> int:
    """The epoch of the log, in which the newest event of our copy is what it is here.

    Raises NotTheLog when it is not; FeedUnavailable, psycopg.Error.
    """
    (newest,) = await (await connection.execute(_NEWEST)).fetchone() or (0,)
    facts, rows = await feed.page(max(newest - 1, 0), 1)
    if facts.epoch > (await _books(connection)).epoch or not newest:
        return facts.epoch
    if not await _is_kept(connection, newest, rows):
        raise NotTheLog(
            f"Position {newest} is not in the log as it is in our copy: this is another log, or it was restored; "
            "run `twinlog epoch new` once the restore is complete."
        )
    return facts.epoch


async def settle(connection: Connection) -> None:
    """Write down that the read models are whole again, once they are."""
    await connection.execute(_WHOLE, (LOG.projection, LOG.generation))


async def _books(connection: Connection) -> Books:
    epoch, partitions = await (await connection.execute(_BOOKS)).fetchone() or (0, 0)
    return Books(epoch, partitions)


async def _begin(
    connection: Connection, feed: Feed, projections: Sequence[Projection], books: Books, epoch: int
) -> None:
    agreed = await _agreed_upto(connection, feed, epoch)
    units = await _too_far(connection, agreed)
    lost = await _set_aside(connection, agreed, epoch, books.partitions)
    await _empty(connection, units, {projection.name: projection for projection in projections})
    await connection.execute(_EPOCH, (epoch,))
    await connection.execute(_ORDERS_LOST, (agreed,))
    await connection.execute(_ORDERS_KEPT, (epoch, agreed, books.epoch))
    await connection.execute(_HEARD, (epoch, agreed))
    await connection.execute(_LEARNT, (epoch, books.epoch, agreed, lost, not units))
    await connection.execute(_NOTIFY, (CHANNEL,))
    get_logger().warning(
        "the log was restored, following it",
        epoch=epoch,
        followed=books.epoch,
        agreed_upto=agreed,
        lost_events=lost,
        built_anew=[str(unit) for unit in units],
    )


async def _agreed_upto(connection: Connection, feed: Feed, epoch: int) -> int:
    """The newest position of the copy that is the same event in the log, and so is everything before it."""
    (newest,) = await (await connection.execute(_NEWEST)).fetchone() or (0,)
    if newest == 0 or await _same(connection, feed, epoch, newest):
        return int(newest)
    agreed, differs = 0, newest
    while (candidate := await _between(connection, agreed, differs)) is not None:
        if await _same(connection, feed, epoch, candidate):
            agreed = candidate
        else:
            differs = candidate
    if agreed == 0:
        raise NotTheLog(f"The log is in epoch {epoch} and has no event in common with what we have read: another log.")
    return agreed


async def _between(connection: Connection, low: int, high: int) -> int | None:
    given = {"low": low, "middle": (low + high) // 2, "high": high}
    (position,) = await (await connection.execute(_BETWEEN, given)).fetchone() or (None,)
    return None if position is None else int(position)


async def _same(connection: Connection, feed: Feed, epoch: int, position: int) -> bool:
    facts, rows = await feed.page(position - 1, 1)
    if facts.epoch != epoch:
        raise NotTheLog(f"The log went from epoch {epoch} to {facts.epoch} while we were looking.")
    return await _is_kept(connection, position, rows)


async def _is_kept(connection: Connection, position: int, rows: Sequence[StoredRow]) -> bool:
    """Whether our copy holds at this position what the log has answered."""
    (leaf,) = await (await connection.execute(_LEAF, (position,))).fetchone() or (b"",)
    return bool(rows) and (rows[0].position, rows[0].leaf_hash) == (position, leaf)


async def _too_far(connection: Connection, agreed: int) -> Sequence[Unit]:
    """Generations of read models that have handled something of the lost branch."""
    cursor = await connection.execute(_TOO_FAR, (agreed, LOG.projection))
    return [Unit(name, generation) for name, generation in await cursor.fetchall()]


async def _set_aside(connection: Connection, agreed: int, epoch: int, partitions: int) -> int:
    lost = dict.fromkeys(range(partitions), 0)
    for slot, position, leaf in await (await connection.execute(_LOST, (agreed,))).fetchall():
        lost[slot % partitions] += term(position, leaf)
    (moved,) = await (await connection.execute(_SET_ASIDE, (agreed, epoch))).fetchone() or (0,)
    for partition, total in lost.items():
        await connection.execute(_SET_BACK_LOG, (partitions, total % MODULUS, LOG.projection, partition, agreed))
    return int(moved)


async def _empty(connection: Connection, units: Sequence[Unit], known: Mapping[str, Projection]) -> None:
    if strangers := sorted({unit.projection for unit in units} - known.keys()):
        raise NotTheLog(f"The log was restored; only a release that knows {', '.join(strangers)} can follow it.")
    for unit in units:
        table = known[unit.projection].table.name
        await connection.execute(sql.SQL(_EMPTY).format(sql.Identifier(unit.generation), sql.Identifier(table)))
        await connection.execute(_FORGET_PARKED, (unit.projection, unit.generation))
        await connection.execute(_SET_BACK, (unit.projection, unit.generation))
