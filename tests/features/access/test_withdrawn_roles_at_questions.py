"""The query API refuses tokens with roles of before a withdrawal as soon as it hears of it."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from shared_kernel.events.access import RoleGranted, RoleWithdrawn
from tests.support.query_side import Person, QuerySide

ADA = Person(uuid4(), roles=("member", "admin"), roles_version=1)
BOB = Person(uuid4(), roles=("member", "admin"), roles_version=1)


async def withdraw(query_side: QuerySide, user: UUID) -> None:
    """What was granted once, as version 2 of the user's roles."""
    for event in (RoleGranted(user_id=user, role="admin"), RoleWithdrawn(user_id=user, role="admin")):
        await query_side.log.append(f"roles-{user}", event, at=datetime.now(UTC))


async def status_for(query_side: QuerySide, person: Person) -> int:
    return (await query_side.get("/v1/policies", person)).status_code


@pytest.mark.asvs("V8.2.1")
async def test_withdrawn_role_opens_nothing_as_soon_as_the_log_says_so(query_side: QuerySide) -> None:
    assert await status_for(query_side, ADA) == 200
    await withdraw(query_side, ADA.id)  # and it is not projected
    await query_side.services.denials.refresh()
    answer = await query_side.get("/v1/policies", ADA)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert await status_for(query_side, replace(ADA, roles_version=0)) == 401, "of a release that said no version"
    assert await status_for(query_side, replace(ADA, roles=("member",), roles_version=2)) == 403
    assert await status_for(query_side, replace(ADA, roles_version=3)) == 200
    assert await status_for(query_side, BOB) == 200
