"""Questions about how far the projections are, over HTTP."""

from typing import Any
from uuid import uuid4

from psycopg import sql

from query_service.features import PROJECTIONS
from query_service.infrastructure.schema import AUDIT_COPY
from shared_kernel.events.operations import RebuildRequested
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


async def test_a_rebuild_tells_how_far_and_how_fast_it_is_and_when_it_will_be_done(query_side: QuerySide) -> None:
    for _ in range(8):
        await query_side.create(MEMBER)
    await query_side.catch_up()
    begun = (
        "INSERT INTO public.rebuilds (projection, generation, at_once, state, going_since, worked_seconds)"
        " VALUES ('resources', 'green', false, 'running', now(), 2)"
    )
    half = (
        "INSERT INTO public.checkpoints (projection, generation, partition, position, epoch)"
        " SELECT projection, 'green', partition, position / 2, epoch FROM public.checkpoints"
        " WHERE projection = 'resources'"
    )
    for statement in (begun, half):
        await query_side.sql(statement)
    rebuild = await rebuild_of(query_side)
    assert (rebuild["state"], rebuild["generation"], rebuild["difference"]) == ("running", "green", None)
    assert 0 < rebuild["position"] <= 4
    assert rebuild["per_second"] > 0
    assert rebuild["seconds_left"] > 0
    await query_side.sql(
        "UPDATE public.rebuilds SET state = 'built',"
        """ difference = '{"rows": 8, "missing": 1, "unexpected": 0, "different": 2}'"""
    )
    rebuild = await rebuild_of(query_side)
    assert (rebuild["state"], rebuild["seconds_left"]) == ("built", None)
    assert rebuild["difference"] == {"rows": 8, "missing": 1, "unexpected": 0, "different": 2}


async def rebuild_of(query_side: QuerySide) -> dict[str, Any]:
    items = (await query_side.get("/v1/projections", OPERATOR)).json()["items"]
    (rebuild,) = [item["rebuild"] for item in items if item["name"] == "resources"]
    assert isinstance(rebuild, dict)
    return rebuild


async def test_the_operators_book_is_kept(query_side: QuerySide) -> None:
    requested = RebuildRequested(projection="resources", reason="v2")
    await query_side.log.append("operations-resources", requested, actor="system:cli")
    await query_side.catch_up()
    row = await query_side.services.database.of("acme").row(
        sql.SQL("SELECT tenant, position, projection, action, actor, reason FROM blue.operations"), {}
    )
    assert row == {
        "tenant": "acme",
        "position": 1,
        "projection": "resources",
        "action": "RebuildRequested",
        "actor": "system:cli",
        "reason": "v2",
    }
