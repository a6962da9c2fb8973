"""The log was restored from a backup: what the query API says until its read models have followed."""

from uuid import uuid4

from shared_kernel.events.policies import PolicyAdded
from shared_kernel.messaging.mark import MARK_KEY, Mark
from tests.query_service.test_freshness import ADA, ADMIN, ask
from tests.support.query_side import TENANT, QuerySide


async def test_a_mark_of_another_log_is_believed_only_as_long_as_redis_repeats_it(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    token = query_side.consistency_token(1)
    await query_side.redis.set(MARK_KEY, Mark(99, 10**9, (0,) * 4, 10**18).encode())
    await query_side.services.freshness.refresh()
    assert (await ask(query_side, "/v1/resources", token)).json()["code"] == "log-epoch-changed"
    assert query_side.services.freshness.progress.horizon("resources") <= 1
    await query_side.publish_mark()
    await query_side.services.freshness.refresh()
    assert (await ask(query_side, "/v1/resources", token)).status_code == 200


async def test_a_read_model_that_is_built_again_after_a_restore_says_so(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    await query_side.sql("INSERT INTO public.log_epochs (epoch, followed, agreed_upto, lost) VALUES (2, 1, 1, 5)")
    await query_side.services.freshness.refresh()
    assert (await query_side.get("/v1/resources", ADMIN)).status_code == 200, "this one is where the copy ends"
    await query_side.sql("UPDATE public.checkpoints SET position = 0 WHERE projection = 'resources'")
    await query_side.services.freshness.refresh()
    answer = await query_side.get("/v1/resources", ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (503, "read-model-behind")
    assert "being built again" in answer.json()["detail"]


async def test_policies_are_kept_while_they_are_built_again_and_those_that_are_lost_are_forgotten_then(
    query_side: QuerySide,
) -> None:
    freshness, reader = query_side.services.freshness, query_side.services.denials._policies
    policy = uuid4()
    added = PolicyAdded(policy_id=policy, role="member", permission="resources:read", condition="any", effect="deny")
    await query_side.log.append(f"policies-{policy}", added)
    await query_side.catch_up()
    await reader.from_read_model(freshness.progress)
    assert reader.known.count(TENANT) == 1
    await query_side.sql("DELETE FROM blue.policies")
    await query_side.sql("UPDATE public.checkpoints SET position = 0 WHERE projection = 'policies'")
    await query_side.sql("UPDATE public.checkpoints SET epoch = 2")
    await query_side.sql("INSERT INTO public.log_epochs (epoch, followed, agreed_upto, lost) VALUES (2, 1, 1, 5)")
    await freshness.refresh()
    await reader.from_read_model(freshness.progress)
    assert reader.known.count(TENANT) == 1, "half a list would lack what denies"
    await query_side.sql("UPDATE public.log_epochs SET whole_since = now()")
    await freshness.refresh()
    await reader.from_read_model(freshness.progress)
    assert reader.known.count(TENANT) == 0
