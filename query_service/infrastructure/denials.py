"""Which sessions have ended, which roles were withdrawn, which policies there are: from the copies, if they keep up.

A read model knows as much as the log did when the relay last said where the log ends, provided that everything up to
there has been projected. When the relay has nothing to say or the projector falls behind (Redis is away, say), the
command service's feed is asked instead.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import psycopg
from psycopg import sql

from query_service.infrastructure import policies
from query_service.infrastructure.database import Database, in_generation
from query_service.infrastructure.feed import FeedUnavailable
from query_service.infrastructure.freshness import Freshness
from query_service.infrastructure.policies import PolicyReader
from query_service.infrastructure.progress import Progress
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.auth.denials import DenialList
from shared_kernel.background import end
from shared_kernel.clock import microseconds
from shared_kernel.errors import ServiceUnavailable
from shared_kernel.events.access import RoleWithdrawn
from shared_kernel.events.envelope import StoredRow
from shared_kernel.messaging.feed import PAGE, LogFacts
from shared_kernel.messaging.mark import Mark
from shared_kernel.observability import get_logger

PROJECTION = "sessions"
NEEDED = (PROJECTION, policies.PROJECTION, AUDIT_COPY)
POLL = 0.15
PATIENCE = 2.0
"""Seconds after which a database or a feed that does not answer counts as away."""
TRUST = 0.6
"""For how many seconds the read model's knowledge counts before the feed is asked as well: with POLL, and time to ask,
less than the second within which an ended session is refused even if projector or relay stand still from its end on."""

ENDED = "SELECT s.tenant, s.id, s.ended_at FROM {generation}.ended_sessions_v1(%(oldest)s) s"
WITHDRAWN = sql.SQL("SELECT w.tenant, w.stream, w.version, w.recorded_at FROM public.withdrawn_roles_v1(%(oldest)s) w")
"""Of the audit copy: bindings that are gone have no row in a read model."""

_log = get_logger("denials")


class LogPages(Protocol):
    """The feed, as far as it is needed here."""

    async def page(self, after: int, limit: int = PAGE) -> tuple[LogFacts, Sequence[StoredRow]]: ...


class Marks:
    """When the read model was last complete: it held everything up to a mark that the relay had just written."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._looked_at = float("-inf")
        self._waiting: deque[tuple[float, int]] = deque(maxlen=256)
        self._complete_at = float("-inf")

    def complete_at(self, progress: Progress, now: float) -> float:
        """The moment, of the same clock as `now`, up to which the read model is known to be complete.

        A mark that is new was written since the last look. The first one may be old: it proves nothing.
        """
        mark = progress.mark
        if mark is not None and mark.at != self._at:
            if self._at is not None:
                self._waiting.append((self._looked_at, mark.head))
            self._at = mark.at
        self._looked_at = now
        if mark is not None and _counts(progress, mark):
            horizon = _horizon(progress)
            while self._waiting and self._waiting[0][1] <= horizon:
                self._complete_at, _ = self._waiting.popleft()
        return self._complete_at


def _horizon(progress: Progress) -> int:
    return min(progress.horizon(name) for name in NEEDED)


def _counts(progress: Progress, mark: Mark) -> bool:
    """Whether checkpoints mean what they say: none of the events is parked, and they are of the mark's own log."""
    parked = any(progress.of(name).parked for name in NEEDED)
    return not parked and progress.checkpoint_epoch in {0, mark.epoch}


class Denials:
    """Keeps `known` up to date between `start` and `stop`."""

    def __init__(self, database: Database, freshness: Freshness, feed: LogPages, reader: PolicyReader) -> None:
        self.known = DenialList()
        self._policies = reader
        self._database = database
        self._freshness = freshness
        self._feed = feed
        self._marks = Marks()
        self._projected_at = float("-inf")
        self._epoch = 0
        self._read_to = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """What is not known yet when it returns is learnt soon after; until then nobody gets in."""
        await self.refresh()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    async def refresh(self) -> None:
        """Learn once, wherever there is something to learn from."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._learn_from_read_model()
            if self.known.clock() - self._projected_at > TRUST:
                async with asyncio.timeout(PATIENCE):
                    await self._learn_from_feed()
        except (ServiceUnavailable, FeedUnavailable, psycopg.Error, OSError, TimeoutError) as error:
            _log.debug("ended sessions cannot be read", error=type(error).__name__)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL)
            await self.refresh()

    async def _learn_from_read_model(self) -> None:
        progress = self._freshness.progress
        if not progress.holds:
            return  # whoever cannot read how far the read models are learns nothing from their rows
        complete_at = self._marks.complete_at(progress, self.known.clock())
        query = in_generation(ENDED, progress.generation(PROJECTION))
        for row in await self._database.rows(query, {"oldest": self.known.oldest}):  # after the picture of progress
            self.known.add(row["tenant"], row["id"], microseconds(row["ended_at"]))
        for row in await self._database.rows(WITHDRAWN, {"oldest": self.known.oldest}):
            self.known.hear(RoleWithdrawn.TOPIC, **row)
        await self._policies.from_read_model(progress)
        self._projected_at = complete_at
        self.known.known_since(complete_at)

    async def _learn_from_feed(self) -> None:
        asked_at = self.known.clock()
        facts, _ = await self._feed.page(0, 1)
        if facts.epoch != self._epoch or facts.head < self._read_to or self.known.was_set_back():
            self._epoch, self._read_to = facts.epoch, 0
        self._read_to = await self._first_that_matters(self._read_to, facts.head)
        while self._read_to < facts.head:
            _, rows = await self._feed.page(self._read_to)
            if not rows:
                return
            for row in rows:
                self.known.hear(row.topic, row.tenant, row.stream, row.version, row.recorded_at)
            self._read_to = rows[-1].position
        await self._policies.from_feed()
        self.known.known_since(asked_at)

    async def _first_that_matters(self, after: int, head: int) -> int:
        """A position at or after which everything young enough stands; times never fall with position."""
        while head - after > PAGE:
            middle = (after + head) // 2
            _, rows = await self._feed.page(middle, 1)
            if not rows or rows[0].recorded_at >= self.known.oldest * 1_000_000:
                head = middle
            else:
                after = middle
        return after
