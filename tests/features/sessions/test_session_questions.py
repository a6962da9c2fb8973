"""A caller sees the sessions that go on, and whoever uses one that has ended gets in no more."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared_kernel.events.contract import Event
from shared_kernel.events.sessions import SessionEnded, SessionRefreshed, SessionStarted
from tests.support.query_side import Person, QuerySide

ADA = Person(uuid4())
BOB = Person(uuid4())
OPERATOR = Person(uuid4(), roles=("operator",))


def ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def sign_in(query_side: QuerySide, person: Person, session: UUID, *, minutes_ago: float = 0) -> None:
    at = ago(minutes_ago)
    await record(
        query_side,
        SessionStarted(
            session_id=session,
            user_id=person.id,
            methods=("pwd",),
            started_at=at,
            expires_at=at + timedelta(hours=12),
            device="Firefox on Linux",
            network="203.0.113.0/24",
        ),
    )


async def record(query_side: QuerySide, event: Event, at: datetime | None = None) -> None:
    await query_side.log.append(f"sessions-{event.session_id}", event, at=at)  # type: ignore[attr-defined] # all have one


async def test_the_caller_sees_its_own_living_sessions_and_which_one_it_uses(query_side: QuerySide) -> None:
    other = uuid4()
    await sign_in(query_side, ADA, ADA.session)
    await sign_in(query_side, BOB, BOB.session)
    await sign_in(query_side, ADA, uuid4(), minutes_ago=13 * 60)
    await sign_in(query_side, ADA, other)
    await query_side.catch_up()
    items = (await query_side.get("/v1/me/sessions", ADA)).json()["items"]
    assert [(item["id"], item["current"]) for item in items] == [(str(ADA.session), True), (str(other), False)]
    assert (items[0]["methods"], items[0]["device"], items[0]["network"]) == (
        ["pwd"],
        "Firefox on Linux",
        "203.0.113.0/24",
    )
    assert items[0]["created_at"] == "2026-03-12T06:01:00Z"
    assert (await query_side.get("/v1/me/sessions", OPERATOR)).json() == {"items": []}


async def test_idle_and_ended_sessions_are_not_shown(query_side: QuerySide) -> None:
    idle, refreshed, ended = uuid4(), uuid4(), uuid4()
    await sign_in(query_side, ADA, idle, minutes_ago=31)
    await sign_in(query_side, ADA, refreshed, minutes_ago=31)
    await sign_in(query_side, ADA, ended)
    again = SessionRefreshed(session_id=refreshed, user_id=ADA.id, refresh_hash="2", refreshed_at=ago(1))
    await record(query_side, again)
    await record(query_side, SessionEnded(session_id=ended, user_id=ADA.id, reason="limit", ended_at=ago(0)))
    await query_side.catch_up()
    items = (await query_side.get("/v1/me/sessions", ADA)).json()["items"]
    assert [item["id"] for item in items] == [str(refreshed)]


async def test_the_list_of_sessions_has_pages_whose_cursors_are_the_callers_own(query_side: QuerySide) -> None:
    for person in (ADA, BOB):
        for _ in range(3):
            await sign_in(query_side, person, uuid4())
    await query_side.catch_up()
    assert [len(page) async for page in query_side.pages("/v1/me/sessions", ADA, limit=2)] == [2, 1]
    link = (await query_side.get("/v1/me/sessions", ADA, limit=2)).headers["Link"]
    assert (await query_side.get(link[1 : link.index(">")], BOB)).status_code == 422


async def test_whoever_uses_an_ended_session_is_refused_as_soon_as_the_log_says_so(query_side: QuerySide) -> None:
    await sign_in(query_side, ADA, ADA.session)
    await query_side.catch_up()
    assert (await query_side.get("/v1/me/sessions", ADA)).status_code == 200
    ended = SessionEnded(session_id=ADA.session, user_id=ADA.id, reason="signed-out", ended_at=ago(0))
    await record(query_side, ended, ago(0))  # and it is not projected
    await query_side.services.denials.refresh()
    answer = await query_side.get("/v1/me/sessions", ADA)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert (await query_side.get("/v1/me/sessions", BOB)).status_code == 200


async def test_what_was_projected_is_denied_too(query_side: QuerySide) -> None:
    await sign_in(query_side, ADA, ADA.session)
    ended = SessionEnded(session_id=ADA.session, user_id=ADA.id, reason="signed-out", ended_at=ago(0))
    await record(query_side, ended, ago(0))
    await query_side.catch_up()
    query_side.services.denials._read_to = query_side.log.head  # the feed has nothing to say
    await query_side.services.denials.refresh()
    assert (await query_side.get("/v1/me/sessions", ADA)).status_code == 401
