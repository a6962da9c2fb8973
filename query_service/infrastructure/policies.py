"""The tenants' policies as the query service knows them: from its own read model, and from the feed where that lags."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from query_service.infrastructure.database import Database, in_generation
from query_service.infrastructure.progress import Progress
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.auth.tenant_policies import PolicyNews, TenantPolicies, news_of, policy_of
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.policies import TOPICS
from shared_kernel.messaging.feed import LogFacts
from shared_kernel.privacy.payload import PayloadCodec

PROJECTION = "policies"

CHANGED = """
SELECT p.tenant, p.id, p.changed_position, p.role, p.permission, p.condition, p.effect, p.removed_at
  FROM {generation}.changed_policies_v1(%(after)s) p ORDER BY p.changed_position
"""


class PolicyPages(Protocol):
    """The feed, as far as it is needed here."""

    async def category(self, name: str, after: int) -> tuple[LogFacts, Sequence[StoredRow]]: ...


class PolicyReader:
    """Keeps `known` equal to the log, as far as the read model or the feed tells it."""

    def __init__(self, known: TenantPolicies, codec: PayloadCodec, database: Database, feed: PolicyPages) -> None:
        self.known = known
        self._codec = codec
        self._database = database
        self._feed = feed
        self._read: tuple[int, str, int] | None = None
        self._complete_to = 0

    async def from_read_model(self, progress: Progress) -> None:
        """Learn what is new in it; everything, when it was built anew or the log restored. Raises psycopg.Error.

        New is what lies beyond the horizon of the last time: partitions commit apart, so 105 may be there before 103.
        """
        if progress.being_built_anew(PROJECTION, AUDIT_COPY):
            return  # what is only half there would lack a rule that denies
        live = progress.of(PROJECTION)
        source = (progress.checkpoint_epoch, live.generation, live.version)
        anew = source != self._read
        query = in_generation(CHANGED, live.generation)
        rows = await self._database.rows(query, {"after": 0 if anew else self._complete_to})
        if not progress.holds:
            return  # the rows may be gone that denied something
        self.known.learn([_news(row) for row in rows], anew=anew)
        self._read = source
        horizon = 0 if live.parked else progress.horizon(PROJECTION)
        self._complete_to = horizon if anew else max(self._complete_to, horizon)

    async def from_feed(self) -> None:
        """Learn what the read model does not have yet. Raises FeedUnavailable."""
        while True:
            facts, rows = await self._feed.category(PROJECTION, self._complete_to)
            self.known.learn([news_of(self._codec.decode(row, None)) for row in rows if row.topic in TOPICS])
            if not rows:
                self._complete_to = max(self._complete_to, facts.head)
                return
            self._complete_to = rows[-1].position


def _news(row: Mapping[str, Any]) -> PolicyNews:
    policy = None if row["removed_at"] else policy_of(row["role"], row["permission"], row["condition"], row["effect"])
    return PolicyNews(row["changed_position"], row["tenant"], row["id"], policy)
