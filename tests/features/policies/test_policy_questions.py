"""A tenant's policies as rows and over HTTP, and what they do to the next question."""

from uuid import UUID, uuid4

from query_service.features.policies.projection import PROJECTION
from shared_kernel.events.policies import PolicyAdded, PolicyRemoved
from tests.support.query_side import Person, QuerySide
from tests.support.stories import ACTOR, NOON, given

ID = UUID("0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43")
ADDED = PolicyAdded(policy_id=ID, role="member", permission="resources:read", condition="any", effect="deny")
ADMIN = Person(uuid4(), roles=("member", "admin"))
ADA = Person(uuid4())


def test_added_policy_is_a_row_with_its_author() -> None:
    given(ADDED).folded_by(PROJECTION).then(
        {"id": ID, "permission": "resources:read", "effect": "deny", "added_by": ACTOR, "added_at": NOON}
    )


def test_removed_policy_stays_as_a_row_that_says_so() -> None:
    story = given(ADDED, PolicyRemoved(policy_id=ID)).folded_by(PROJECTION)
    story.then({"id": ID, "version": 2, "removed_at": NOON})


async def add(query_side: QuerySide, policy: PolicyAdded) -> None:
    await query_side.log.append(f"policies-{policy.policy_id}", policy)
    await query_side.catch_up()
    await query_side.services.denials.refresh()


async def test_admin_sees_the_policies_that_count(query_side: QuerySide) -> None:
    other = ADDED.model_copy(update={"policy_id": uuid4(), "role": "auditor"})
    await add(query_side, ADDED)
    await add(query_side, other)
    items = (await query_side.get("/v1/policies", ADMIN)).json()["items"]
    assert [item["id"] for item in items] == [str(ID), str(other.policy_id)]
    one = await query_side.get(f"/v1/policies/{ID}", ADMIN)
    assert (one.json(), one.headers["ETag"]) == (items[0], '"1"')
    await query_side.log.append(f"policies-{ID}", PolicyRemoved(policy_id=ID))
    await query_side.catch_up()
    assert len((await query_side.get("/v1/policies", ADMIN)).json()["items"]) == 1
    assert (await query_side.get(f"/v1/policies/{ID}", ADMIN)).status_code == 404


async def test_nobody_else_sees_them(query_side: QuerySide) -> None:
    await add(query_side, ADDED)
    assert (await query_side.get("/v1/policies", ADA)).status_code == 403
    stranger = Person(uuid4(), roles=("admin",), tenant="globex")
    await query_side.create_tenant("globex")
    await query_side.catch_up()
    assert (await query_side.get("/v1/policies", stranger)).json()["items"] == []
    assert (await query_side.get(f"/v1/policies/{ID}", stranger)).status_code == 404


async def test_policy_bites_in_lists_and_single_rows_and_is_forgotten_when_removed(query_side: QuerySide) -> None:
    resource = await query_side.create(ADA)
    await query_side.catch_up()
    assert (await query_side.get(f"/v1/resources/{resource}", ADA)).status_code == 200
    await add(query_side, ADDED)
    assert (await query_side.get(f"/v1/resources/{resource}", ADA)).status_code == 403
    assert (await query_side.get("/v1/resources", ADA)).status_code == 403
    await query_side.log.append(f"policies-{ID}", PolicyRemoved(policy_id=ID))
    await query_side.catch_up()
    await query_side.services.denials.refresh()
    assert (await query_side.get(f"/v1/resources/{resource}", ADA)).status_code == 200


async def test_condition_filters_the_list_as_it_decides_about_the_single_row(query_side: QuerySide) -> None:
    opened, restricted = await query_side.create(ADA), await query_side.create(ADA, classification="restricted")
    await add(query_side, ADDED.model_copy(update={"condition": "restricted"}))
    items = (await query_side.get("/v1/resources", ADA)).json()["items"]
    assert [item["id"] for item in items] == [str(opened)]
    assert (await query_side.get(f"/v1/resources/{restricted}", ADA)).status_code == 403
