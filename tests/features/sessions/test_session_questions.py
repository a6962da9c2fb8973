"""Questions about one's own sessions, over HTTP."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared_kernel.events.sessions import SessionStarted
from tests.support.query_side import Person, QuerySide

ADA = Person(uuid4())
BOB = Person(uuid4())
OPERATOR = Person(uuid4(), roles=("operator",))


async def sign_in(query_side: QuerySide, person: Person, session: UUID, *, hours: float = 12) -> None:
    until = datetime.now(UTC) + timedelta(hours=hours)
    started = SessionStarted(session_id=session, user_id=person.id, methods=("pwd",), expires_at=until)
    await query_side.log.append(f"sessions-{session}", started)


async def test_the_caller_sees_its_own_living_sessions_and_which_one_it_uses(query_side: QuerySide) -> None:
    other = uuid4()
    await sign_in(query_side, ADA, ADA.session)
    await sign_in(query_side, BOB, BOB.session)
    await sign_in(query_side, ADA, uuid4(), hours=-1)
    await sign_in(query_side, ADA, other)
    await query_side.catch_up()
    items = (await query_side.get("/v1/me/sessions", ADA)).json()["items"]
    assert [(item["id"], item["current"]) for item in items] == [(str(ADA.session), True), (str(other), False)]
    assert items[0]["methods"] == ["pwd"]
    assert items[0]["created_at"] == "2026-03-12T06:01:00Z"
    assert (await query_side.get("/v1/me/sessions", OPERATOR)).json() == {"items": []}


async def test_the_list_of_sessions_has_pages_whose_cursors_are_the_callers_own(query_side: QuerySide) -> None:
    for person in (ADA, BOB):
        for _ in range(3):
            await sign_in(query_side, person, uuid4())
    await query_side.catch_up()
    assert [len(page) async for page in query_side.pages("/v1/me/sessions", ADA, limit=2)] == [2, 1]
    link = (await query_side.get("/v1/me/sessions", ADA, limit=2)).headers["Link"]
    assert (await query_side.get(link[1 : link.index(">")], BOB)).status_code == 422
