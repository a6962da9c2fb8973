"""What the log adds up to, per partition, kept at every thousandth position."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection, sql

from shared_kernel.events.completeness import EVERY, MODULUS, term
from shared_kernel.messaging.partition import partition_of

_NEWEST = sql.SQL("SELECT position, sums FROM log_sums ORDER BY position DESC LIMIT 1")
_LEAVES = sql.SQL("""
    SELECT position, slot, leaf_hash FROM events WHERE position > %s AND position <= %s ORDER BY position
""")
_KEEP = sql.SQL("""
    INSERT INTO log_sums (position, sums) VALUES (%s, %s) ON CONFLICT ON CONSTRAINT log_sums_position DO NOTHING
""")


class Summing:
    """Goes on where the table ends, a block of positions at a time; every method raises psycopg.Error."""

    def __init__(self, connection: AsyncConnection[Any], partitions: int) -> None:
        self._connection = connection
        self._partitions = partitions
        self._known: tuple[int, Sequence[int]] | None = None

    async def advance(self, upto: int, blocks: int) -> None:
        """Add at most so many blocks that end at or before this position."""
        position, sums = self._known or await self._newest()
        for _ in range(blocks):
            if position + EVERY > upto:
                break
            position, sums = await self._block(position, sums)
        self._known = position, sums

    async def _newest(self) -> tuple[int, Sequence[int]]:
        found = await (await self._connection.execute(_NEWEST)).fetchone()
        return (found[0], [int(value) for value in found[1]]) if found else (0, [0] * self._partitions)

    async def _block(self, position: int, before: Sequence[int]) -> tuple[int, Sequence[int]]:
        sums, end = list(before), position + EVERY
        cursor = await self._connection.execute(_LEAVES, (position, end), binary=True)
        async for each, slot, leaf in cursor:
            partition = partition_of(slot, self._partitions)
            sums[partition] = (sums[partition] + term(each, leaf)) % MODULUS
        await self._connection.execute(_KEEP, (end, [Decimal(value) for value in sums]))
        return end, sums
