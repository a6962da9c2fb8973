"""Asking for rebuilds, switches, retries and skips over HTTP."""

import httpx2
import pytest

from query_service.features import PROJECTIONS as FOLDED
from shared_kernel.auth.secrets import derive
from shared_kernel.events.operations import PROJECTIONS
from shared_kernel.settings import secret_bytes
from tests.support.command_side import CommandSide, Person

REBUILD = "/v1/projections/resources/rebuild"


@pytest.fixture
async def operator(command_side: CommandSide) -> Person:
    return await command_side.register("Op", roles=("member", "operator"))


def test_both_services_know_the_same_projections() -> None:
    assert {projection.name for projection in FOLDED} == PROJECTIONS


async def test_operator_rebuilds_pauses_resumes_and_approves(command_side: CommandSide, operator: Person) -> None:
    answer = await command_side.send("POST", REBUILD, {"reason": "v2"}, by=operator)
    assert (answer.status_code, answer.json()["id"], answer.json()["version"]) == (200, "resources", 1)
    for action in ("pause", "resume", "switch", "rollback"):
        answer = await command_side.send("POST", f"/v1/projections/resources/{action}", {}, by=operator)
        assert answer.status_code == 200, answer.text
    topics = ["RebuildRequested", "RebuildPaused", "RebuildResumed", "SwitchApproved", "RollbackRequested"]
    assert await command_side.topics_of("/v1/operations/resources") == topics


async def test_parked_events_are_retried_and_skipped_in_the_own_tenant(
    command_side: CommandSide, operator: Person
) -> None:
    parked = "/v1/projections/resources/parked"
    retry, skip = {"stream": "resources-1"}, {"stream": "resources-1", "position": 3, "reason": "faulty import"}
    assert (await command_side.send("POST", f"{parked}/retry", retry, by=operator)).status_code == 200
    assert (await command_side.send("POST", f"{parked}/skip", skip, by=operator)).status_code == 200
    nobody = await command_side.send("POST", f"{parked}/skip", {**skip, "reason": " "}, by=operator)
    assert (nobody.status_code, nobody.json()["code"]) == (422, "validation-failed")
    assert await command_side.topics_of("/v1/operations/resources") == ["ParkedRetryRequested", "ParkedSkipApproved"]


async def test_pausing_what_nobody_has_started_is_refused(command_side: CommandSide, operator: Person) -> None:
    answer = await command_side.send("POST", "/v1/projections/resources/pause", {}, by=operator)
    assert (answer.status_code, answer.json()["code"]) == (409, "no-rebuild-requested")


async def test_unknown_projections_and_actions_are_refused(command_side: CommandSide, operator: Person) -> None:
    assert (await command_side.send("POST", "/v1/projections/nonsense/rebuild", {}, by=operator)).status_code == 404
    assert (await command_side.send("POST", "/v1/projections/resources/paint", {}, by=operator)).status_code == 422


@pytest.mark.parametrize(("roles", "status"), [(("auditor",), 403), ((), 403), (("admin",), 200)])
async def test_only_operators_and_admins_operate(
    command_side: CommandSide, roles: tuple[str, ...], status: int
) -> None:
    person = await command_side.register(roles=("member", *roles))
    assert (await command_side.send("POST", REBUILD, {}, by=person)).status_code == status


async def test_command_line_speaks_with_the_services_secret(command_side: CommandSide) -> None:
    credential = derive(secret_bytes(command_side.services.settings.shared_secret), "feed").hex()
    record = {"projection": "resources", "action": "rollback", "carried_out": True}

    async def sent(authorization: str) -> httpx2.Response:
        return await command_side.http.post("/v1/operations", json=record, headers={"Authorization": authorization})

    assert (await sent("Bearer nonsense")).status_code == 401
    assert (await sent(f"Bearer {credential}")).json()["version"] == 1
    (row,) = await command_side.rows("SELECT convert_from(metadata, 'UTF8') AS m FROM events WHERE topic LIKE 'op%%'")
    assert '"actor":"system:cli"' in row["m"]
