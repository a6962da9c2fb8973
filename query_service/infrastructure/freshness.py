"""Keeps one picture of the read models' progress per process, and lets requests wait for what they have written.

One task refreshes the picture: when the projector says `NOTIFY projected`, and at a slow poll besides. Requests wait
on futures that the refresh resolves, so a thousand waiters cost one query, not a thousand.

While Redis is away the newest mark that was ever seen goes on to count (it is kept in `log_mark` for the next start):
it is still true, so answers are never wrong, but lists do not grow past it until the relay's mark is back.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from redis.asyncio import Redis
from redis.exceptions import RedisError

from query_service.infrastructure.database import AWAY, Database
from query_service.infrastructure.lateness import Lateness
from query_service.infrastructure.notifications import Notifications
from query_service.infrastructure.progress import Live, Progress
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.background import end
from shared_kernel.errors import LogEpochChanged, Message, ReadModelBehind, ReadModelParked, ServiceUnavailable
from shared_kernel.messaging.consistency import ConsistencyToken
from shared_kernel.messaging.mark import MARK_KEY, Mark
from shared_kernel.observability import get_logger

_log = get_logger("twinlog.freshness")

CHANNEL = "projected"
POLL = 0.25
"""Seconds between refreshes when nothing is heard: the relay's own rhythm."""
POLL_WHILE_WAITING = 0.02
"""The same while somebody waits: a new mark in Redis is not notified."""
PAUSE = 0.005
"""Seconds at least between two refreshes, so that a busy projector does not keep us busy."""
SAVE_MARK_EVERY = 5_000_000
"""Microseconds of the mark's own time between two savings."""

PROGRESS = sql.SQL("""
SELECT c.projection AS name, c.generation, coalesce(p.version, 0) AS version, c.partition, c.position, c.epoch,
       extract(epoch FROM clock_timestamp() - c.updated_at)::float8 AS unmoved,
       k.projection IS NOT NULL AS parked,
       EXISTS (SELECT 1 FROM public.log_epochs e WHERE e.whole_since IS NULL) AS restored
  FROM public.checkpoints c
  LEFT JOIN public.projections p ON p.name = c.projection
  LEFT JOIN public.parked_units_v1() k ON k.projection = c.projection AND k.generation = c.generation
 WHERE c.generation = coalesce(p.active, 'blue')
""")
SAVED_MARK = sql.SQL("SELECT epoch, head, last, at FROM public.log_mark")
SAVE_MARK = sql.SQL("""
INSERT INTO public.log_mark AS m (epoch, head, last, at) VALUES (%(epoch)s, %(head)s, %(last)s, %(at)s)
ON CONFLICT ON CONSTRAINT log_mark_pk DO UPDATE
   SET epoch = excluded.epoch, head = excluded.head, last = excluded.last, at = excluded.at
 WHERE (m.epoch, m.head, m.at) < (excluded.epoch, excluded.head, excluded.at)
""")
PARKED = sql.SQL("""
SELECT k.projection, k.position
  FROM public.parked_events k JOIN public.projections p ON p.name = k.projection AND p.active = k.generation
 WHERE k.projection = ANY(%(reads)s) AND k.tenant = %(tenant)s AND k.stream = %(stream)s AND k.position <= %(position)s
 LIMIT 1
""")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    """Somebody who waits until `covered` holds; `done` fails with what `covered` raises."""

    covered: Callable[[Progress], bool]
    done: asyncio.Future[Progress]


class Freshness:
    """Ask `progress` for the picture, `reach` to wait for a Consistency-Token; `start` before, `stop` after."""

    def __init__(self, database: Database, redis: Redis, token_key: bytes) -> None:
        self.database = database
        self.redis = redis
        self.token_key = token_key
        self.progress = Progress()
        self.trouble = "the progress of the read models has not been read yet"
        self._saved_at = 0
        self._lateness = Lateness()
        self._waiters: set[_Waiter] = set()
        self._wake = asyncio.Event()
        self._notifications = Notifications(database.url, CHANNEL, self._wake.set)
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises ServiceUnavailable or psycopg.OperationalError when the query database does not answer."""
        saved = await self.database.row(SAVED_MARK)
        if saved is not None:
            mark = Mark(saved["epoch"], saved["head"], tuple(saved["last"]), saved["at"])
            self.progress = Progress(mark)
            self._lateness.saw(mark, time.monotonic() - max(0.0, time.time() - mark.at / 1_000_000))
        await self._notifications.open()
        await self.refresh()
        self.trouble = ""
        self._keeping = asyncio.create_task(self._keep_fresh())
        self._keeping.add_done_callback(self._ended)

    async def stop(self) -> None:
        await self._notifications.close()
        await end(self._keeping)
        for waiter in self._waiters:
            if not waiter.done.done():
                waiter.done.set_exception(ServiceUnavailable())

    async def reach(self, sealed: str | None, wait: float, *reads: str, whole: bool) -> Progress:
        """A picture in which the projections `reads` hold what the Consistency-Token promises, within `wait` seconds.

        `whole` asks for it in lists, else in the row of the token's stream alone; without a token any picture will do
        that still holds. Raises MalformedConsistencyToken, LogEpochChanged, ReadModelBehind, ReadModelParked, and
        ServiceUnavailable when there is no picture that holds.
        """
        token = None if sealed is None else ConsistencyToken.open(sealed, self.token_key)
        progress = await self._covering(token, wait, reads, whole=whole)
        self._refuse_restored(progress, reads)
        if token is not None and any(progress.of(read).parked for read in reads):
            await self._refuse_parked(token, reads)
        return progress

    async def refresh(self) -> None:
        """Read mark and checkpoints once and wake whoever has what they wait for."""
        read, asked_at = await self._read_mark(), time.monotonic()
        rows = await self.database.rows(PROGRESS)
        live, epoch = _live(rows), max((row["epoch"] for row in rows), default=0)
        mark = _newest(self.progress.mark, read, epoch)
        self.progress = Progress(mark, live, epoch, any(row["restored"] for row in rows), asked_at)
        self._keep_ages(rows, mark, asked_at)
        self._resolve()
        await self._save(mark)

    def positions_behind(self, projection: str) -> int:
        """How many published positions a projection has not handled; 0 while the end of the log is not known."""
        return self.progress.lag(projection) or 0

    def seconds_behind(self, projection: str) -> float:
        """How old the oldest published event is that a projection has not handled, as far as we know; else 0."""
        now = time.monotonic()
        since = self._lateness.since(projection, self.progress.horizon(projection))
        return round(now - since, 3) if since is not None and self.progress.lag(projection) else 0.0

    def _keep_ages(self, rows: Sequence[Mapping[str, Any]], mark: Mark | None, at: float) -> None:
        if mark is None:
            return
        self._lateness.saw(mark, at)
        if not self._lateness.begun:
            self._lateness.begin(mark.head, _standing_still(rows, mark, at))
        self._lateness.handled(min(map(self.progress.horizon, self.progress.live), default=0))

    async def _covering(
        self, token: ConsistencyToken | None, wait: float, reads: tuple[str, ...], *, whole: bool
    ) -> Progress:
        def covered(progress: Progress) -> bool:
            return progress.holds and (token is None or progress.covers(token, reads, whole=whole))

        if covered(self.progress):
            return self.progress
        try:
            async with asyncio.timeout(wait), self._waiting(covered) as done:
                return await done
        except TimeoutError:
            if token is None or not self.progress.holds:
                raise ServiceUnavailable(AWAY) from None
            raise _behind(token, self.progress, reads, whole=whole) from None

    @asynccontextmanager
    async def _waiting(self, covered: Callable[[Progress], bool]) -> AsyncIterator[asyncio.Future[Progress]]:
        waiter = _Waiter(covered, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        self._wake.set()
        try:
            yield waiter.done
        finally:
            self._waiters.discard(waiter)

    def _resolve(self) -> None:
        for waiter in self._waiters:
            if waiter.done.done():
                continue
            try:
                if waiter.covered(self.progress):
                    waiter.done.set_result(self.progress)
            except LogEpochChanged as changed:
                waiter.done.set_exception(changed)

    @staticmethod
    def _refuse_restored(progress: Progress, reads: tuple[str, ...]) -> None:
        if any(progress.being_built_anew(read, AUDIT_COPY) for read in reads):
            raise ReadModelBehind(Message("The log was restored; this read model is being built again from it."))

    async def _refuse_parked(self, token: ConsistencyToken, reads: tuple[str, ...]) -> None:
        parameters = {
            "reads": list(reads),
            "tenant": token.tenant,
            "stream": token.stream,
            "position": token.position,
        }
        if await self.database.of(token.tenant).row(PARKED, parameters) is not None:
            raise ReadModelParked

    async def _read_mark(self) -> Mark | None:
        try:
            data = await self.redis.get(MARK_KEY)
            return Mark.decode(data) if isinstance(data, bytes) else None
        except (RedisError, OSError, KeyError, TypeError, ValueError):
            return None  # a mark that cannot be read teaches nothing; the newest known one goes on to count

    async def _save(self, mark: Mark | None) -> None:
        confirmed = mark is not None and mark.epoch == self.progress.checkpoint_epoch
        if mark is not None and confirmed and mark.at - self._saved_at >= SAVE_MARK_EVERY:
            values = {"epoch": mark.epoch, "head": mark.head, "last": list(mark.last), "at": mark.at}
            async with self.database.connection() as connection:
                await connection.execute(SAVE_MARK, values)
            self._saved_at = mark.at

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.trouble = "the progress of the read models is no longer read"
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("freshness ended", exc_info=error)

    async def _keep_fresh(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_WHILE_WAITING if self._waiters else POLL):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.refresh()
                self.trouble = ""
            except (ServiceUnavailable, psycopg.Error) as error:
                self.trouble = f"the progress of the read models cannot be read ({type(error).__name__})"
            await asyncio.sleep(PAUSE)


def _newest(known: Mark | None, read: Mark | None, epoch: int) -> Mark | None:
    """The mark that knows more; an older one (Redis restored from a backup, say) teaches nothing.

    One of a later epoch than the read models are in is a rumour, believed as long as Redis repeats it.
    """
    if known is None or read is None:
        return known or read
    if epoch and max(known.epoch, read.epoch) > epoch:
        return read
    return max(known, read, key=lambda mark: (mark.epoch, mark.head, mark.at))


def _standing_still(rows: Sequence[Mapping[str, Any]], mark: Mark, at: float) -> Iterator[tuple[str, float]]:
    """Since when each projection has not moved a checkpoint on that has something before it."""
    unmoved: dict[str, float] = {}
    for row in rows:
        if row["partition"] < len(mark.last) and row["position"] < mark.last[row["partition"]]:
            unmoved[row["name"]] = max(unmoved.get(row["name"], 0.0), row["unmoved"])
    return ((name, at - seconds) for name, seconds in unmoved.items())


def _live(rows: Sequence[Mapping[str, Any]]) -> dict[str, Live]:
    """The rows of PROGRESS, one for each partition, gathered by projection."""
    positions: dict[str, dict[int, int]] = defaultdict(dict)
    for row in rows:
        positions[row["name"]][row["partition"]] = row["position"]
    return {
        row["name"]: Live(row["name"], row["generation"], row["version"], positions[row["name"]], row["parked"])
        for row in rows
    }


def _behind(token: ConsistencyToken, progress: Progress, reads: tuple[str, ...], *, whole: bool) -> ReadModelBehind:
    reached = progress.horizon(*reads) if whole else progress.reached(token, *reads)
    return ReadModelBehind(
        Message(
            "The read model has reached position {reached}, you asked for {asked}: it is {lag} behind.",
            reached=reached,
            asked=token.position,
            lag=max(0, token.position - reached),
        )
    )
