"""Idempotency keys over real HTTP: carried out once, answered as before, and kept so that nobody can read it."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from command_service import bootstrap
from command_service.features.resources.commands import ArchiveResource
from command_service.features.resources.domain import archive_resource
from command_service.features.resources.handlers import RESOURCES
from command_service.features.resources.permissions import ARCHIVE
from command_service.infrastructure.call import Conditions
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import ReplayUnavailable
from shared_kernel.web.headers import IfMatch
from tests.features.sessions.test_second_factor import Factor
from tests.support.cluster import Database, Vault
from tests.support.command_side import PASSWORD, CommandSide, Person, command_side_of
from tests.support.waiting import eventually

KEPT = ("ETag", "Consistency-Token", "Location", "Content-Type")


@pytest.fixture
async def ada(command_side: CommandSide) -> Person:
    return await command_side.register("Ada")


async def test_same_request_under_its_key_is_carried_out_once_and_answered_as_before(
    command_side: CommandSide, ada: Person
) -> None:
    first = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k-1")
    again = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k-1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert [again.headers[name] for name in KEPT] == [first.headers[name] for name in KEPT]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert len(await command_side.rows("SELECT position FROM events WHERE topic LIKE 'resources.%%'")) == 1


async def test_answer_is_kept_whatever_has_happened_since(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    first = await command_side.send("PATCH", path, {"name": "b"}, by=ada, Idempotency_Key="k", If_Match='"1"')
    await command_side.send("POST", f"{path}/archive", by=ada)
    again = await command_side.send("PATCH", path, {"name": "b"}, by=ada, Idempotency_Key="k", If_Match='"1"')
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["ETag"] == '"2"'


async def test_key_may_be_bare_or_quoted(command_side: CommandSide, ada: Person) -> None:
    await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k-1")
    again = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key='"k-1"')
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_malformed_keys_are_400(command_side: CommandSide, ada: Person) -> None:
    for key in ("", "a b", "k" * 256, '"open'):
        answer = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key=key)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed-header"), key


async def test_another_request_under_the_same_key_is_422(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("PATCH", path, {"name": "b"}, by=ada, Idempotency_Key="k")
    other_path = await command_side.create_resource(ada)
    for method, target, body, headers in (
        ("PATCH", path, {"name": "c"}, {}),
        ("PATCH", other_path, {"name": "b"}, {}),
        ("PATCH", path, {"name": "b"}, {"If_Match": '"2"'}),
        ("POST", f"{path}/archive", None, {}),
    ):
        answer = await command_side.send(method, target, body, by=ada, Idempotency_Key="k", **headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused"), (method, target)


async def test_keys_belong_to_their_user(command_side: CommandSide, ada: Person) -> None:
    bob = await command_side.register("Bob")
    for person in (ada, bob):
        answer = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=person, Idempotency_Key="same")
        assert answer.status_code == 201
        assert "Idempotency-Replayed" not in answer.headers


async def test_keys_belong_to_their_tenant(command_side: CommandSide) -> None:
    await command_side.create_tenant("north")
    body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
    found = [
        await command_side.send("POST", "/v1/users", body, Tenant=tenant, Idempotency_Key="same")
        for tenant in ("default", "north")
    ]
    assert [answer.status_code for answer in found] == [201, 201]
    assert not any("Idempotency-Replayed" in answer.headers for answer in found)
    assert len({answer.json()["id"] for answer in found}) == 2


async def test_refusals_are_decided_anew(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("POST", f"{path}/archive", by=ada)
    refused = await command_side.send("PATCH", path, {"name": "b"}, by=ada, Idempotency_Key="k")
    assert refused.status_code == 409
    await command_side.send("POST", f"{path}/restore", by=ada)
    accepted = await command_side.send("PATCH", path, {"name": "b"}, by=ada, Idempotency_Key="k")
    assert accepted.status_code == 200
    assert "Idempotency-Replayed" not in accepted.headers


async def test_no_ops_are_kept_too(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    first = await command_side.send("POST", f"{path}/restore", by=ada, Idempotency_Key="k")
    await command_side.send("POST", f"{path}/archive", by=ada)
    again = await command_side.send("POST", f"{path}/restore", by=ada, Idempotency_Key="k")
    assert again.json() == first.json()
    assert again.json()["changed"] is False
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await command_side.topics_of(path) == ["ResourceCreated", "ResourceArchived"]


async def test_of_a_hundred_at_once_one_is_carried_out(command_side: CommandSide, ada: Person) -> None:
    answers = await asyncio.gather(
        *(command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k") for _ in range(100))
    )
    found = Counter((answer.status_code, answer.headers.get("Idempotency-Replayed")) for answer in answers)
    assert found.pop((201, None)) == 1
    assert found.keys() <= {(201, "true"), (409, None)}
    assert found.total() == 99
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency-in-flight"}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(await command_side.rows("SELECT position FROM events WHERE topic LIKE 'resources.%%'")) == 1
    late = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k")
    assert (late.status_code, late.headers["Idempotency-Replayed"]) == (201, "true")


async def test_two_processes_carry_a_request_out_once(
    command_side: CommandSide, command_database: Database, vault_database: Vault, ada: Person
) -> None:
    async with command_side_of(command_database, vault_database) as other:
        sides = [command_side, other] * 10
        answers = await asyncio.gather(
            *(side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k") for side in sides)
        )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(await command_side.rows("SELECT position FROM events WHERE topic LIKE 'resources.%%'")) == 1


async def test_registration_can_be_repeated(command_side: CommandSide) -> None:
    body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
    first = await command_side.send("POST", "/v1/users", body, Idempotency_Key="k")
    again = await command_side.send("POST", "/v1/users", body, Idempotency_Key="k")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    other = await command_side.send("POST", "/v1/users", {**body, "password": "x" + PASSWORD}, Idempotency_Key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_key_is_forgotten_after_a_day(command_side: CommandSide, ada: Person) -> None:
    await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k")
    day = 86_400_000_000
    await command_side.rows("UPDATE idempotency SET created_at = created_at - %s RETURNING created_at", day)
    anew = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k")
    assert anew.status_code == 201


async def test_service_forgets_old_answers_again_and_again_and_keeps_young_ones(
    command_database: Database, vault_database: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "INTERVAL", 0.05)
    async with command_side_of(command_database, vault_database) as side:
        ada = await side.register()

        async def kept() -> int:
            return len(await side.rows("SELECT created_at FROM idempotency"))

        async def one_is_kept() -> bool:
            return await kept() == 1

        for turn in range(2):
            for key in (f"old-{turn}", f"young-{turn}"):
                await side.send("POST", "/v1/resources", {"name": key}, by=ada, Idempotency_Key=key)
            assert await kept() == 2 + turn
            await side.rows(
                "UPDATE idempotency SET created_at = created_at - 86400000001"
                " WHERE created_at < (SELECT max(created_at) FROM idempotency) RETURNING key"
            )
            await eventually(one_is_kept, "old answers to be forgotten")
        answer = await side.send("POST", "/v1/resources", {"name": "young-1"}, by=ada, Idempotency_Key="young-1")
        assert answer.headers["Idempotency-Replayed"] == "true"


@pytest.mark.asvs("V14.2.2")
async def test_answer_that_holds_a_secret_is_not_kept(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    now = int(datetime.now(UTC).timestamp())
    principal = Principal(ada.id, ada.tenant, ada.id, ada.roles, "aal1", now)
    call = Conditions(IfMatch(), "k", (b"POST /v1/me/totp",)).by(principal)
    command = ArchiveResource(UUID(path.rsplit("/", 1)[1]))
    work = replace(RESOURCES.change(command.resource_id, archive_resource, command, ARCHIVE), secret=True)
    execution = command_side.services.resources._execution
    assert (await execution.run(work, call)).status == 200
    with pytest.raises(ReplayUnavailable):
        await execution.run(work, call)


async def test_secret_and_recovery_codes_are_shown_once_and_never_kept(command_side: CommandSide, ada: Person) -> None:
    enrolled = await command_side.send("POST", "/v1/me/totp", by=ada, Idempotency_Key="enrol")
    otp = await Factor(enrolled.json()["secret"]).code()
    activated = await command_side.send("PUT", "/v1/me/totp", {"otp": otp}, by=ada, Idempotency_Key="activate")
    assert len(activated.json()["recovery_codes"]) == 10
    for method, key, body in (("POST", "enrol", None), ("PUT", "activate", {"otp": otp})):
        again = await command_side.send(method, "/v1/me/totp", body, by=ada, Idempotency_Key=key)
        assert (again.status_code, again.json()["code"]) == (409, "replay-unavailable")
    kept = await command_side.rows("SELECT status, answer FROM idempotency")
    assert [(row["status"], bytes(row["answer"])) for row in kept] == [(200, b"")] * 2


async def test_store_keeps_neither_key_nor_request_nor_answer_in_clear(command_side: CommandSide, ada: Person) -> None:
    body = {"name": "canary-name"}
    answer = await command_side.send("POST", "/v1/resources", body, by=ada, Idempotency_Key="canary-key")
    (row,) = await command_side.rows("SELECT key, fingerprint, answer FROM idempotency")
    assert len(row["key"]) == len(row["fingerprint"]) == 32
    stored = bytes(row["key"]) + bytes(row["fingerprint"]) + bytes(row["answer"])
    for secret in ("canary-key", "canary-name", answer.json()["id"]):
        assert secret.encode() not in stored


@pytest.mark.asvs("V14.2.2")
async def test_answers_of_a_person_whose_key_is_gone_are_gone_too(
    command_side: CommandSide, vault_database: Vault, ada: Person
) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("POST", f"{path}/archive", by=ada, Idempotency_Key="k")
    await command_side.rows_of(vault_database.owner_url, "DELETE FROM subject_keys RETURNING subject")
    command_side.services.vault.evict(ada.tenant, str(ada.id))
    again = await command_side.send("POST", f"{path}/archive", by=ada, Idempotency_Key="k")
    assert (again.status_code, again.json()["code"]) == (409, "replay-unavailable")
    new = await command_side.send("POST", "/v1/resources", {"name": "x"}, by=ada, Idempotency_Key="k-2")
    assert (new.status_code, new.json()["code"]) == (409, "subject-erased")


async def test_changed_answer_is_not_believed(command_side: CommandSide, ada: Person) -> None:
    path = await command_side.create_resource(ada)
    await command_side.send("POST", f"{path}/archive", by=ada, Idempotency_Key="k")
    await command_side.rows("UPDATE idempotency SET answer = set_byte(answer, 60, 0) RETURNING answer")
    again = await command_side.send("POST", f"{path}/archive", by=ada, Idempotency_Key="k")
    assert (again.status_code, again.json()["code"]) == (409, "replay-unavailable")
