"""The rules of tenants and roles, told as given / when / then."""

from uuid import UUID

import pytest
from pydantic import TypeAdapter, ValidationError

from command_service.features.access.commands import CreateTenant, GrantRole, Role, TenantSlug, WithdrawRole
from command_service.features.access.domain import (
    MembershipIsNotWithdrawn,
    TenantAlreadyExists,
    create_tenant,
    evolve_roles,
    evolve_tenant,
    grant_role,
    withdraw_role,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.access import RoleGranted, RoleWithdrawn, TenantCreated
from tests.support.given import given

ID = UUID("0192f000-0000-7000-8000-000000000001")
GRANTED = RoleGranted(user_id=ID, role="auditor")
WITHDRAWN = RoleWithdrawn(user_id=ID, role="auditor")


def test_new_tenant_is_created() -> None:
    given().when(create_tenant, CreateTenant("acme")).then(TenantCreated(slug="acme"))


def test_tenant_is_created_only_once() -> None:
    story = given(TenantCreated(slug="acme")).by(evolve_tenant)
    story.when(create_tenant, CreateTenant("acme")).then_refused(TenantAlreadyExists)


def test_tenant_slug_is_a_host_name_label() -> None:
    slug = TypeAdapter(TenantSlug)
    for good in ("a", "acme", "acme-2", "a" * 63):
        assert slug.validate_python(good) == good
    for bad in ("", "-a", "a-", "Acme", "a b", "a" * 64, "ä", "a\n", "a.b"):
        with pytest.raises(ValidationError):
            slug.validate_python(bad)


def test_role_is_granted() -> None:
    given().when(grant_role, GrantRole(ID, Role.AUDITOR)).then(GRANTED)


def test_granting_a_held_role_changes_nothing() -> None:
    given(GRANTED).by(evolve_roles).when(grant_role, GrantRole(ID, Role.AUDITOR)).then_nothing()


def test_every_user_is_a_member_already() -> None:
    given().when(grant_role, GrantRole(ID, Role.MEMBER)).then_nothing()


def test_held_role_is_withdrawn() -> None:
    given(GRANTED).by(evolve_roles).when(withdraw_role, WithdrawRole(ID, Role.AUDITOR)).then(WITHDRAWN)


def test_withdrawing_a_role_that_is_not_held_changes_nothing() -> None:
    given().when(withdraw_role, WithdrawRole(ID, Role.AUDITOR)).then_nothing()
    given(GRANTED).by(evolve_roles).when(withdraw_role, WithdrawRole(ID, Role.ADMIN)).then_nothing()


def test_membership_is_not_withdrawn() -> None:
    given().when(withdraw_role, WithdrawRole(ID, Role.MEMBER)).then_refused(MembershipIsNotWithdrawn)


def test_withdrawn_role_can_be_granted_again() -> None:
    given(GRANTED, WITHDRAWN).by(evolve_roles).when(grant_role, GrantRole(ID, Role.AUDITOR)).then(GRANTED)


def test_strange_events_are_refused() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve_roles(None, TenantCreated(slug="acme"))
    with pytest.raises(ImpossibleHistory):
        evolve_tenant(None, GRANTED)
