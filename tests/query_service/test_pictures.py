"""Nothing is answered by a picture of the read models that is too old: the rows it names may be gone."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from query_service.infrastructure import progress
from query_service.infrastructure.progress import Progress
from tests.query_service.test_freshness import ADA, ADMIN, another_process, ask
from tests.support.query_side import QuerySide


async def test_an_old_picture_is_renewed_before_it_answers(query_side: QuerySide) -> None:
    await query_side.create(ADA)
    await query_side.catch_up()
    async with another_process(query_side) as (freshness, _):
        old = freshness.progress = replace(freshness.progress, read_at=float("-inf"))
        reached = await freshness.reach(None, 20, "resources", whole=True)
        assert reached is not old
        assert reached.holds


async def test_who_cannot_renew_an_old_picture_answers_nothing(
    query_side: QuerySide, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = await query_side.create(ADA)
    await query_side.catch_up()
    token = query_side.consistency_token(1)
    questions = ("/v1/resources", f"/v1/resources/{resource}", f"/v1/resources/{uuid4()}", "/v1/events", "/v1/policies")
    with monkeypatch.context() as aged:
        aged.setattr(progress, "HOLDS", 0.0)
        for path in questions:
            answer = await query_side.get(path, ADMIN, {"Prefer": "wait=0"})
            assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable"), path
        answer = await ask(query_side, "/v1/resources", token, wait=0)
        assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable")
    assert (await query_side.get(f"/v1/resources/{resource}", ADMIN)).status_code == 200


async def test_an_answer_that_took_longer_than_its_picture_holds_is_not_given(
    query_side: QuerySide, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = await query_side.create(ADA)
    await query_side.catch_up()
    reach = query_side.services.freshness.reach

    async def reach_slowly(*asked: Any, **how: Any) -> Progress:
        """As if the rows came only after the picture had faded."""
        return replace(await reach(*asked, **how), read_at=float("-inf"))

    monkeypatch.setattr(query_side.services.freshness, "reach", reach_slowly)
    for path in (f"/v1/resources/{resource}", f"/v1/resources/{uuid4()}", "/v1/resources"):
        answer = await query_side.get(path, ADMIN)
        assert (answer.status_code, answer.json()["code"]) == (503, "service-unavailable"), path
    monkeypatch.undo()
    known = (await query_side.get(f"/v1/resources/{resource}", ADMIN)).headers["ETag"]
    monkeypatch.setattr(query_side.services.freshness, "reach", reach_slowly)
    answer = await query_side.get(f"/v1/resources/{resource}", ADMIN, {"If-None-Match": known})
    assert answer.status_code == 503, "nor does it say that nothing has changed"
