"""The book of what operators asked: up to where it was heard, what waits, and what each request came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Metadata, StoredRow
from shared_kernel.events.operations import (
    CATEGORY,
    ParkedRetryRequested,
    ParkedSkipApproved,
    RebuildCancelled,
    RebuildPaused,
    RebuildRequested,
    RebuildResumed,
    RollbackRequested,
    SwitchApproved,
)
from shared_kernel.messaging.partition import partition_of, slot_of
from shared_kernel.observability import get_logger

Connection = AsyncConnection[Any]

ACTIONS: Mapping[type[Event], str] = {
    RebuildRequested: "rebuild",
    RebuildPaused: "pause",
    RebuildResumed: "resume",
    RebuildCancelled: "cancel",
    SwitchApproved: "switch",
    RollbackRequested: "rollback",
    ParkedRetryRequested: "retry",
    ParkedSkipApproved: "skip",
}
_CONTRACTS = {contract.TOPIC: contract for contract in ACTIONS}

_BEGAN = sql.SQL("""
    SELECT (extract(epoch FROM switched_at) * 1000000)::bigint FROM public.projections WHERE name = %s
""")
_HEARD = sql.SQL("SELECT epoch, position FROM public.orders_heard")
_HEAR = sql.SQL("""
    INSERT INTO public.orders_heard AS h (epoch, position) VALUES (%s, %s)
    ON CONFLICT ON CONSTRAINT orders_heard_pk DO UPDATE
       SET epoch = excluded.epoch, position = excluded.position
     WHERE (h.epoch, h.position) < (excluded.epoch, excluded.position)
""")
_ADD = sql.SQL("""
    INSERT INTO public.orders (position, epoch, projection, action, details, actor, state, outcome)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT ON CONSTRAINT orders_pk DO NOTHING
""")
_WAITING = sql.SQL("""
    SELECT position, epoch, projection, action, details, actor
      FROM public.orders WHERE state = 'waiting' ORDER BY epoch, position
""")
_SETTLE = sql.SQL("""
    UPDATE public.orders SET state = %s, outcome = %s, settled_at = now() WHERE epoch = %s AND position = %s
""")
_SKIP = sql.SQL("""
    INSERT INTO public.skipped_events (projection, position, partition, tenant, stream, topic, reason, actor)
    VALUES (%s, %s, %s, %s, %s, '', %s, %s) ON CONFLICT ON CONSTRAINT skipped_events_pk DO NOTHING
""")
BIGINT_BITS = 63
BEFORE = "asked before this query database began"
BY_HAND = "carried out at the command line"


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator asks of a projection."""

    position: int
    epoch: int
    projection: str
    action: str
    details: Mapping[str, Any]
    actor: str


def order_of(row: StoredRow, epoch: int) -> Order | None:
    """What this event asks for; None for one that is no request, one of a newer release, or one nobody can read."""
    contract = _CONTRACTS.get(row.topic)
    if contract is None or not row.stream.startswith(f"{CATEGORY}-"):
        return None
    try:
        details = contract.model_validate_json(row.payload).model_dump(mode="json")
        actor = Metadata.decode(row.metadata).actor
        _require_storable(actor, *details.values())
    except ValueError:  # a ValidationError is one too
        get_logger().warning("operator's request cannot be read", topic=row.topic, position=row.position)
        return None
    return Order(row.position, epoch, details["projection"], ACTIONS[contract], details, actor)


def _require_storable(*values: str | int) -> None:
    """Raises ValueError for what no column can hold: it would keep us from hearing whatever comes after it."""
    for value in values:
        if "\x00" in value if isinstance(value, str) else value.bit_length() > BIGINT_BITS:
            raise ValueError


async def began_at(connection: Connection) -> int:
    """When this query database began to follow the log, in microseconds."""
    (began,) = await (await connection.execute(_BEGAN, (AUDIT_COPY,))).fetchone() or (0,)
    return int(began)


async def heard(connection: Connection) -> tuple[int, int] | None:
    """(epoch, position) up to which every request is in the book; None before the first look."""
    return await (await connection.execute(_HEARD)).fetchone()


async def add(connection: Connection, orders: Sequence[Order], epoch: int, position: int) -> None:
    """Enter requests, and that everything up to this position was heard."""
    async with connection.transaction():
        for order in orders:
            by_hand = bool(order.details.get("carried_out"))
            await _enter(connection, order, "done" if by_hand else "waiting", BY_HAND if by_hand else "")
        await connection.execute(_HEAR, (epoch, position))


async def begin(connection: Connection, orders: Sequence[Order], epoch: int, position: int, partitions: int) -> None:
    """The first look at a log with a past: nothing of it is done again, but what was skipped stays skipped."""
    async with connection.transaction():
        for order in orders:
            await _enter(connection, order, "done", BEFORE)
            if order.action == "skip":
                tenant, stream = order.details["of_tenant"], order.details["stream"]
                partition = partition_of(slot_of(tenant, stream), partitions)
                where = (order.projection, order.details["position"], partition, tenant, stream)
                await connection.execute(_SKIP, (*where, order.details["reason"], order.actor))
        await connection.execute(_HEAR, (epoch, position))


async def waiting(connection: Connection) -> Sequence[Order]:
    """What is still to be carried out, in the order of the log."""
    async with connection.cursor(row_factory=class_row(Order)) as cursor:
        await cursor.execute(_WAITING)
        return await cursor.fetchall()


async def settle(connection: Connection, order: Order, state: str, outcome: str) -> None:
    await connection.execute(_SETTLE, (state, outcome, order.epoch, order.position))


async def _enter(connection: Connection, order: Order, state: str, outcome: str) -> None:
    named = (order.position, order.epoch, order.projection, order.action, Jsonb(order.details), order.actor)
    await connection.execute(_ADD, (*named, state, outcome))
