"""The log as an operator looks at it: what is in it by topic, and events by what is known of them.

There is no index for these questions: appends would pay for it. They are asked of a stretch of positions at a time, so
that no statement is long and no snapshot old.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from command_service.infrastructure.event_store.reads import COLUMNS, Reads
from shared_kernel.events.envelope import StoredRow

STRETCH = 200_000
"""Positions per statement."""

_TOPICS = """
SELECT topic, count(*) AS count, min(position) AS first, max(position) AS last
FROM {schema}.events WHERE position > %s AND position <= %s GROUP BY topic
"""

_MATCHING = """
SELECT {columns} FROM {schema}.events WHERE position > {after} AND position <= {upto} {conditions}
ORDER BY position {order} LIMIT {limit}
"""


@dataclass(frozen=True, slots=True)
class TopicCount:
    """How many events of a topic there are, and where the first and the last of them stand."""

    topic: str
    count: int
    first: int
    last: int

    def plus(self, later: "TopicCount") -> "TopicCount":
        return TopicCount(
            self.topic, self.count + later.count, min(self.first, later.first), max(self.last, later.last)
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are meant: those that fit everything that is said. `correlation_id` is the one in the metadata."""

    tenant: str | None = None
    stream: str | None = None
    topic: str | None = None
    correlation_id: str | None = None
    after: int = 0
    upto: int | None = None

    def conditions(self) -> sql.Composed:
        equal = {"tenant": self.tenant, "stream": self.stream, "topic": self.topic}
        found = [
            sql.SQL("AND {} = {}").format(sql.Identifier(name), sql.Literal(value))
            for name, value in equal.items()
            if value is not None
        ]
        if self.correlation_id is not None:
            mark = sql.Literal(self.correlation_id.encode())
            found.append(sql.SQL("AND position({} IN metadata) > 0").format(mark))
        return sql.SQL(" ").join(found)


class Inspection(Reads):
    """Reads what nobody needs to serve a request."""

    async def topics(self) -> Sequence[TopicCount]:
        """Every topic that is in the log, in order of name."""
        found: dict[str, TopicCount] = {}
        _, head = await self.head()
        for after in range(0, head, STRETCH):
            bounds = (after, min(after + STRETCH, head))
            for count in await self._fetch(TopicCount, _TOPICS, bounds):
                known = found.get(count.topic)
                found[count.topic] = count if known is None else known.plus(count)
        return [found[topic] for topic in sorted(found)]

    async def matching(self, wanted: Wanted, *, newest_first: bool = False) -> AsyncIterator[StoredRow]:
        """The events one after the other, oldest first unless told otherwise."""
        _, head = await self.head()
        last = head if wanted.upto is None else min(head, wanted.upto)
        stretches = [(low, min(low + STRETCH, last)) for low in range(wanted.after, last, STRETCH)]
        for low, high in reversed(stretches) if newest_first else stretches:
            async for row in self._within(wanted, low, high, newest_first=newest_first):
                yield row

    async def _within(self, wanted: Wanted, low: int, high: int, *, newest_first: bool) -> AsyncIterator[StoredRow]:
        while rows := await self._page(wanted, low, high, newest_first=newest_first):
            for row in rows:
                yield row
            low, high = (low, rows[-1].position - 1) if newest_first else (rows[-1].position, high)

    async def _page(self, wanted: Wanted, low: int, high: int, *, newest_first: bool) -> list[StoredRow]:
        values: dict[str, Any] = {"after": low, "upto": high, "limit": 1_000}
        statement = sql.SQL(_MATCHING).format(
            schema=self._schema,
            columns=COLUMNS,
            conditions=wanted.conditions(),
            order=sql.SQL("DESC" if newest_first else "ASC"),
            **{name: sql.Literal(value) for name, value in values.items()},
        )
        return await self._ask(StoredRow, statement)
