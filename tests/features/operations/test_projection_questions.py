"""Questions about how far the projections are, over HTTP."""

from uuid import uuid4

from query_service.features import PROJECTIONS
from query_service.infrastructure.schema import AUDIT_COPY
from tests.support.query_side import Person, QuerySide

OPERATOR = Person(uuid4(), roles=("operator", "member"))
MEMBER = Person(uuid4())


async def test_operators_see_how_far_each_projection_has_come(query_side: QuerySide) -> None:
    for _ in range(5):
        await query_side.create(MEMBER)
    await query_side.catch_up()
    items = {item["name"]: item for item in (await query_side.get("/v1/projections", OPERATOR)).json()["items"]}
    assert items.keys() == {AUDIT_COPY, *(projection.name for projection in PROJECTIONS)}
    assert items["resources"] == {
        "name": "resources",
        "generation": "blue",
        "version": 1,
        "position": 5,
        "lag": {"positions": 0, "seconds": 0.0},
        "parked": 0,
        "rebuild": None,
    }


async def test_a_projection_that_is_behind_says_by_how_much(query_side: QuerySide) -> None:
    await query_side.catch_up()
    await query_side.create(MEMBER)
    await query_side.publish_mark()
    await query_side.services.freshness.refresh()
    [item] = [
        item
        for item in (await query_side.get("/v1/projections", OPERATOR)).json()["items"]
        if item["name"] == "resources"
    ]
    assert (item["position"], item["lag"]["positions"]) == (0, 1)
    assert item["lag"]["seconds"] > 0


async def test_parked_events_are_counted(query_side: QuerySide) -> None:
    query_side.log.keep("acme", "orders-1", "orders.OrderPlaced.v1", b"{}", b"{}")
    query_side.log.keep("acme", "orders-1", "orders.OrderPlaced.v1", b"{}", b"{}")
    await query_side.catch_up()
    items = (await query_side.get("/v1/projections", OPERATOR)).json()["items"]
    assert {item["name"]: item["parked"] for item in items} == {
        AUDIT_COPY: 0,
        **{projection.name: 2 for projection in PROJECTIONS},
    }


async def test_members_do_not_see_the_machinery(query_side: QuerySide) -> None:
    assert (await query_side.get("/v1/projections", MEMBER)).json()["code"] == "forbidden"


async def test_before_the_first_event_there_is_nothing_to_be_behind_of(query_side: QuerySide) -> None:
    await query_side.services.freshness.refresh()
    items = (await query_side.get("/v1/projections", OPERATOR)).json()["items"]
    assert {(item["position"], item["lag"]["positions"], item["lag"]["seconds"]) for item in items} == {(0, None, 0.0)}
