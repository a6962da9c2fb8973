"""When the read model is known to be complete, and what the feed is asked for when it is not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from query_service.infrastructure.denials import Denials, Marks
from query_service.infrastructure.feed import FeedUnavailable
from query_service.infrastructure.progress import Live, Progress
from shared_kernel.events.access import RoleGranted, RoleWithdrawn
from shared_kernel.events.envelope import StoredRow
from shared_kernel.events.sessions import SessionEnded
from shared_kernel.messaging.feed import LogFacts
from shared_kernel.messaging.mark import Mark
from tests.support.query_side import QuerySide
from tests.support.stories import NOON, recorded

NEVER = float("-inf")


def picture(at: int, head: int, projected: int, *, parked: bool = False, epoch: int = 1, behind: str = "") -> Progress:
    """Read models and audit copy have come to `projected`, but for one that has seen nothing yet."""
    live = {
        name: Live(name, positions={0: 0 if name == behind else projected}, parked=parked and name == "sessions")
        for name in ("sessions", "policies", "audit_events")
    }
    return Progress(Mark(1, head, (head,), at), live, epoch)


def test_first_mark_proves_nothing_for_it_may_be_old() -> None:
    assert Marks().complete_at(picture(1, 5, 5), 100.0) == NEVER


def test_new_mark_was_written_after_the_last_look() -> None:
    marks = Marks()
    marks.complete_at(picture(1, 5, 5), 100.0)
    assert marks.complete_at(picture(2, 5, 5), 100.25) == 100.0
    assert marks.complete_at(picture(2, 5, 5), 109.0) == 100.0


def test_what_a_mark_promises_counts_once_it_is_projected() -> None:
    marks = Marks()
    marks.complete_at(picture(1, 5, 5), 100.0)
    assert marks.complete_at(picture(2, 8, 5), 101.0) == NEVER
    assert marks.complete_at(picture(3, 9, 8), 102.0) == 100.0
    assert marks.complete_at(picture(4, 9, 9), 103.0) == 102.0


@pytest.mark.parametrize("behind", ["sessions", "policies", "audit_events"])
def test_it_is_complete_when_all_that_is_asked_are(behind: str) -> None:
    marks = Marks()
    marks.complete_at(picture(1, 5, 5), 100.0)
    assert marks.complete_at(picture(2, 8, 8, behind=behind), 101.0) == NEVER
    assert marks.complete_at(picture(2, 8, 8), 102.0) == 100.0


@pytest.mark.parametrize(("parked", "epoch"), [(True, 1), (False, 2)])
def test_parked_events_and_another_log_prove_nothing(*, parked: bool, epoch: int) -> None:
    marks = Marks()
    marks.complete_at(picture(1, 5, 5), 100.0)
    assert marks.complete_at(picture(2, 5, 5, parked=parked, epoch=epoch), 101.0) == NEVER


def test_without_any_mark_nothing_is_known() -> None:
    assert Marks().complete_at(Progress(), 1.0) == NEVER


class Pages:
    """The feed of a long log in which one session ends, at a position, just now."""

    def __init__(self, head: int, ends_at: int, oldest: float) -> None:
        self.head, self.ends_at, self.oldest = head, ends_at, oldest
        self.asked = 0

    async def page(self, after: int, limit: int = 2_000) -> tuple[LogFacts, Sequence[StoredRow]]:
        self.asked += 1
        rows = [self.row(position) for position in range(after + 1, min(after + limit, self.head) + 1)]
        return LogFacts(1, self.head, 8), rows

    def row(self, position: int) -> StoredRow:
        ended = SessionEnded(session_id=UUID(int=7), user_id=UUID(int=8), reason="x", ended_at=NOON)
        row = recorded(ended, position=position, stream=f"sessions-{UUID(int=7)}").row
        young = position >= self.ends_at - 10
        at = int((self.oldest + (60 if young else -60)) * 1_000_000)
        topic = SessionEnded.TOPIC if position == self.ends_at else "other.Thing.v1"
        return row._replace(topic=topic, recorded_at=at)


async def test_only_the_young_end_of_a_long_log_is_read(query_side: QuerySide) -> None:
    services = query_side.services
    denials = Denials(services.database, services.freshness, services.feed, services.denials._policies)
    pages = Pages(1_000_000, 999_500, denials.known.oldest)
    denials._feed = pages
    await denials.refresh()
    assert len(denials.known) == 1
    assert pages.asked < 30
    assert denials.known.trouble == ""


class Away:
    """A feed that does not answer."""

    async def page(self, after: int, limit: int = 1) -> tuple[LogFacts, Sequence[StoredRow]]:
        raise FeedUnavailable


@pytest.mark.parametrize(("minutes_ago", "known"), [(0, 1), (10, 1), (12, 0)])
async def test_roles_that_were_withdrawn_while_tokens_of_before_live_are_known_from_the_copy_of_the_log(
    query_side: QuerySide, minutes_ago: int, known: int
) -> None:
    user, at = UUID(int=8), datetime.now(UTC) - timedelta(minutes=minutes_ago)
    for event in (RoleGranted(user_id=user, role="admin"), RoleWithdrawn(user_id=user, role="admin")):
        await query_side.log.append(f"roles-{user}", event, at=at)
    await query_side.catch_up()
    services = query_side.services
    denials = Denials(services.database, services.freshness, Away(), services.denials._policies)
    await denials.refresh()
    assert len(denials.known) == known


@pytest.mark.asvs("V16.5.3")
async def test_without_read_model_and_feed_nobody_gets_in(query_side: QuerySide) -> None:
    services = query_side.services
    denials = Denials(services.database, services.freshness, Away(), services.denials._policies)
    await denials.refresh()
    assert denials.known.trouble
