"""Completeness: what a read model has handled, parked and skipped must add up to what the log holds.

The log's side comes from the log: its own sums at every thousandth position, and its events from there on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import AsyncConnection, sql

from query_service.infrastructure.feed import Feed
from query_service.projector.checkpoints import LOG, Unit
from query_service.projector.explaining import Terms, explained
from shared_kernel.events.completeness import MODULUS, term

Connection = AsyncConnection[Any]
SNAPSHOT = sql.SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_STANDING = sql.SQL("""
    SELECT projection, generation, partition, position, handled_sum::text FROM public.checkpoints
     WHERE projection = ANY(%s) ORDER BY projection, generation, partition
""")
_PARKED = sql.SQL("""
    SELECT k.projection, k.generation, k.partition, k.position, a.leaf_hash
      FROM public.parked_events AS k JOIN public.audit_events AS a ON a.position = k.position
""")
_SKIPPED = sql.SQL("""
    SELECT k.projection, c.generation, k.partition, k.position, a.leaf_hash
      FROM public.skipped_events AS k JOIN public.audit_events AS a ON a.position = k.position
      JOIN public.checkpoints AS c
        ON c.projection = k.projection AND c.partition = k.partition AND c.position >= k.position
""")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as the log says; `position` is the first that is wrong, None when it cannot be told."""

    projection: str
    generation: str
    partition: int | None
    kind: str
    position: int | None
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def sentence(self) -> str:
        where = "" if self.position is None else f" from position {self.position} on"
        return f"{self.projection}/{self.generation}{where}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Standing:
    """One unit in one partition: how far it is, what it has handled, and what it has left aside."""

    unit: Unit
    partition: int
    position: int
    handled: int
    aside: int

    @property
    def accounted(self) -> int:
        return (self.handled + self.aside) % MODULUS


async def standings(connection: Connection, projections: Iterable[str]) -> Sequence[Standing]:
    """How the books stand, in the snapshot of the caller."""
    names = [*projections, LOG.projection]
    aside: dict[tuple[str, str, int], int] = {}
    for query in (_PARKED, _SKIPPED):
        for name, generation, partition, position, leaf in await (await connection.execute(query)).fetchall():
            place = (name, generation, partition)
            aside[place] = aside.get(place, 0) + term(position, leaf)
    cursor = await connection.execute(_STANDING, (names,))
    return [
        Standing(Unit(name, generation), partition, position, int(handled), aside.get((name, generation, partition), 0))
        for name, generation, partition, position, handled in await cursor.fetchall()
    ]


class LogSide:
    """What the log says, asked for once per place. Every method raises FeedUnavailable."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._known: dict[tuple[int, int], int] = {}

    async def sum_at(self, partition: int, position: int) -> int:
        """What all events of the partition up to a position add up to."""
        place = (partition, position)
        if place not in self._known:
            start, sums = await self._feed.sums(position)
            base = sums[partition] if sums else 0
            found = await self.terms(partition, start, position)
            self._known[place] = (base + sum(share for _, share in found)) % MODULUS
        return self._known[place]

    async def terms(self, partition: int, after: int, upto: int) -> Terms:
        """The events of the partition in (after, upto]."""
        return [
            (row.position, term(row.position, row.leaf_hash))
            async for stretch in self._feed.read(partition, after, upto, 1_000)
            for row in stretch.rows
        ]


async def held_against_the_log(found: Sequence[Standing], log: LogSide) -> Sequence[Finding]:
    """Where the books do not add up, run by run, and from which position on. Raises FeedUnavailable."""
    return [finding for each in found if await _differs(each, log) for finding in await _findings(each, log)]


async def _differs(standing: Standing, log: LogSide) -> bool:
    return standing.accounted != await log.sum_at(standing.partition, standing.position)


async def _findings(standing: Standing, log: LogSide) -> Sequence[Finding]:
    expected = await log.sum_at(standing.partition, standing.position)
    terms = await log.terms(standing.partition, 0, standing.position)
    named = (standing.unit.projection, standing.unit.generation, standing.partition)
    runs = explained(terms, expected - standing.accounted)
    if not runs:
        detail = f"partition {standing.partition} does not add up to the log, in more than two places."
        return [Finding(*named, "unexplained", None, detail)]
    return [Finding(*named, run.kind, run.positions[0], run.detail) for run in runs]


def worst(findings: Iterable[Finding]) -> Mapping[str, int]:
    """How many places are wrong, by projection."""
    counted: dict[str, int] = {}
    for finding in findings:
        counted[finding.projection] = counted.get(finding.projection, 0) + 1
    return counted
