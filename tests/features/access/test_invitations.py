"""Tenants that let in only those whom their administrators have invited."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest

from command_service.features.access.commands import (
    ChangeRegistration,
    CreateTenant,
    IssueInvitation,
    WithdrawInvitation,
)
from command_service.features.access.domain import (
    change_registration,
    create_tenant,
    evolve_invitation,
    evolve_tenant,
    issue_invitation,
    withdraw_invitation,
)
from command_service.infrastructure.call import Call
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.access import (
    InvitationIssued,
    InvitationWithdrawn,
    TenantCreated,
    TenantRegistrationChanged,
)
from tests.support.command_side import PASSWORD, CommandSide, Person
from tests.support.given import NOON, given

ID = UUID("0192f000-0000-7000-8000-000000000001")
CALL = Call.of_system("acme", "test")
CREATED = TenantCreated(slug="acme")
CLOSED = TenantRegistrationChanged(slug="acme", invitation_only=True)
WEEK = timedelta(days=7)
ISSUED = InvitationIssued(invitation_id=ID, code_hash="ab", expires_at=NOON + WEEK)
WITHDRAWN = InvitationWithdrawn(invitation_id=ID)


def test_tenant_is_open_unless_it_is_created_closed() -> None:
    given().when(create_tenant, CreateTenant("acme")).then(CREATED)
    given().when(create_tenant, CreateTenant("acme", invitation_only=True)).then(CREATED, CLOSED)
    assert not given(CREATED).by(evolve_tenant).state.invitation_only
    assert given(CREATED, CLOSED).by(evolve_tenant).state.invitation_only


def test_rule_of_registration_changes_only_when_it_differs() -> None:
    given(CREATED).by(evolve_tenant).when(change_registration, ChangeRegistration(True)).then(CLOSED)
    given(CREATED, CLOSED).by(evolve_tenant).when(change_registration, ChangeRegistration(True)).then_nothing()
    opened = TenantRegistrationChanged(slug="acme", invitation_only=False)
    given(CREATED, CLOSED).by(evolve_tenant).when(change_registration, ChangeRegistration(False)).then(opened)


def test_invitation_counts_until_it_expires_or_is_withdrawn() -> None:
    given().when(issue_invitation, IssueInvitation(ID, "ab", WEEK)).then(ISSUED)
    invitation = given(ISSUED).by(evolve_invitation).state
    assert invitation.counts(NOON + WEEK - timedelta(seconds=1))
    assert not invitation.counts(NOON + WEEK)
    given(ISSUED).by(evolve_invitation).when(withdraw_invitation, WithdrawInvitation(ID)).then(WITHDRAWN)
    withdrawn = given(ISSUED, WITHDRAWN).by(evolve_invitation)
    withdrawn.when(withdraw_invitation, WithdrawInvitation(ID)).then_nothing()
    assert not withdrawn.state.counts(NOON)


def test_histories_that_cannot_be_are_refused() -> None:
    for evolve, event in ((evolve_tenant, CLOSED), (evolve_invitation, WITHDRAWN)):
        with pytest.raises(ImpossibleHistory):
            given(event).by(evolve).state  # noqa: B018 - making the state is what must fail


@pytest.fixture
async def admin(command_side: CommandSide) -> Person:
    person = await command_side.register("Adm", roles=("member", "admin"))
    answer = await command_side.send("PUT", "/v1/tenant/registration", {"invitation_only": True}, by=person)
    assert (answer.status_code, answer.json()["id"], answer.json()["version"]) == (200, "default", 2)
    return person


async def register(side: CommandSide, email: str, **more: Any) -> httpx2.Response:
    return await side.send("POST", "/v1/users", {"email": email, "password": PASSWORD, "name": "Ada", **more})


async def invited(side: CommandSide, admin: Person, **details: int) -> dict[str, Any]:
    answer = await side.send("POST", "/v1/invitations", details, by=admin)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_nobody_registers_without_an_invitation(command_side: CommandSide, admin: Person) -> None:
    assert code_of(await register(command_side, "ada@example.com")) == (403, "invitation-needed")
    made_up = await register(command_side, "ada@example.com", invitation="AAAA-BBBB")
    assert code_of(made_up) == (403, "invitation-not-accepted")
    known = await register(command_side, admin.email)
    assert code_of(known) == (403, "invitation-needed")  # and so nobody learns who is registered


@pytest.mark.asvs("V6.4.1")
async def test_one_person_registers_with_an_invitation(command_side: CommandSide, admin: Person) -> None:
    invitation = await invited(command_side, admin)
    typed = invitation["code"].lower().replace("-", " ")
    assert (await register(command_side, "ada@example.com", invitation=typed)).status_code == 201
    again = await register(command_side, "bob@example.com", invitation=invitation["code"])
    assert code_of(again) == (403, "invitation-not-accepted")


@pytest.mark.asvs("V2.3.4")
async def test_of_many_who_share_an_invitation_one_registers(command_side: CommandSide, admin: Person) -> None:
    code = (await invited(command_side, admin))["code"]
    answers = await asyncio.gather(
        *(register(command_side, f"p{number}@example.com", invitation=code) for number in range(8))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 7


async def test_invitation_is_not_spent_by_a_registration_that_is_refused(
    command_side: CommandSide, admin: Person
) -> None:
    code = (await invited(command_side, admin))["code"]
    taken = await register(command_side, admin.email, invitation=code)
    assert code_of(taken) == (409, "email-already-registered")
    assert (await register(command_side, "ada@example.com", invitation=code)).status_code == 201


async def test_withdrawn_invitation_lets_nobody_in(command_side: CommandSide, admin: Person) -> None:
    invitation = await invited(command_side, admin, hours=1)
    path = f"/v1/invitations/{invitation['id']}"
    assert (await command_side.send("DELETE", path, by=admin)).json()["version"] == 2
    assert (await command_side.send("DELETE", path, by=admin)).json()["changed"] is False
    refused = await register(command_side, "ada@example.com", invitation=invitation["code"])
    assert code_of(refused) == (403, "invitation-not-accepted")
    unknown = await command_side.send("DELETE", f"/v1/invitations/{ID}", by=admin)
    assert code_of(unknown) == (404, "not-found")


@pytest.mark.asvs("V6.4.1")
async def test_code_is_shown_once_and_kept_nowhere(command_side: CommandSide, admin: Person) -> None:
    answer = await command_side.send("POST", "/v1/invitations", {}, by=admin, Idempotency_Key="i-1")
    plain = answer.json()["code"].replace("-", "").encode()
    again = await command_side.send("POST", "/v1/invitations", {}, by=admin, Idempotency_Key="i-1")
    assert code_of(again) == (409, "replay-unavailable")
    found = await command_side.rows(
        "SELECT payload, metadata FROM events UNION ALL SELECT answer, key FROM idempotency"
    )
    assert not any(plain in bytes(value).replace(b"-", b"") for row in found for value in row.values())


async def test_invitations_are_of_one_tenant(command_side: CommandSide, admin: Person) -> None:
    code = (await invited(command_side, admin))["code"]
    await command_side.services.access.create_tenant(CreateTenant("acme", invitation_only=True), CALL)
    body = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "invitation": code}
    refused = await command_side.send("POST", "/v1/users", body, Tenant="acme")
    assert code_of(refused) == (403, "invitation-not-accepted")


async def test_tenant_that_was_opened_again_asks_for_nothing(command_side: CommandSide, admin: Person) -> None:
    await command_side.send("PUT", "/v1/tenant/registration", {"invitation_only": False}, by=admin)
    assert (await register(command_side, "ada@example.com")).status_code == 201
    assert (await register(command_side, "bob@example.com", invitation="whatever")).status_code == 201


async def test_only_administrators_invite_and_say_who_may_come(command_side: CommandSide, admin: Person) -> None:
    for roles in (("member",), ("member", "operator"), ("member", "auditor")):
        person = Person(admin.id, admin.email, roles=roles)
        for method, path, body in (
            ("PUT", "/v1/tenant/registration", {"invitation_only": False}),
            ("POST", "/v1/invitations", {}),
            ("DELETE", f"/v1/invitations/{ID}", None),
        ):
            assert code_of(await command_side.send(method, path, body, by=person)) == (403, "forbidden"), (roles, path)


@pytest.mark.asvs("V6.4.1")
async def test_lifetime_of_an_invitation_is_an_hour_to_thirty_days(command_side: CommandSide, admin: Person) -> None:
    for hours in (0, 721, -1):
        answer = await command_side.send("POST", "/v1/invitations", {"hours": hours}, by=admin)
        assert code_of(answer) == (422, "validation-failed")
