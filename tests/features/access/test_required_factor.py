"""Tenants in which roles count only for whoever signs in with a second factor."""

from typing import Any

import pytest
from jose import jwt

from command_service.features.access.commands import ChangeSecondFactor
from command_service.features.access.domain import change_second_factor, evolve_tenant
from command_service.infrastructure.call import Call
from shared_kernel.errors import NotFound
from shared_kernel.events.access import TenantCreated, TenantSecondFactorChanged
from tests.features.sessions.test_refresh import form, refresh, signed_in, status_with
from tests.features.sessions.test_second_factor import set_up
from tests.support.command_side import CommandSide
from tests.support.given import given

CREATED = TenantCreated(slug="acme")
REQUIRED = TenantSecondFactorChanged(slug="acme", required=True)
CALL = Call.of_system("default", "test")


def roles_in(token: dict[str, Any]) -> list[str]:
    return list(jwt.get_unverified_claims(token["access_token"])["roles"])


async def require(command_side: CommandSide, required: bool = True) -> None:
    await command_side.services.access.change_second_factor(ChangeSecondFactor(required), CALL)


def test_rule_changes_only_when_it_differs_and_only_for_a_tenant_that_there_is() -> None:
    given(CREATED).by(evolve_tenant).when(change_second_factor, ChangeSecondFactor(True)).then(REQUIRED)
    given(CREATED, REQUIRED).by(evolve_tenant).when(change_second_factor, ChangeSecondFactor(True)).then_nothing()
    given(CREATED).by(evolve_tenant).when(change_second_factor, ChangeSecondFactor(False)).then_nothing()
    given().when(change_second_factor, ChangeSecondFactor(True)).then_refused(NotFound)


@pytest.mark.asvs("V6.3.3")
async def test_without_a_second_factor_only_the_own_account_is_open(command_side: CommandSide) -> None:
    await require(command_side)
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    assert roles_in(token) == []
    assert await status_with(command_side, token["access_token"]) == 403
    assert roles_in((await refresh(command_side, token["refresh_token"])).json()) == []
    factor, codes = await set_up(command_side, token)
    again = (await command_side.sign_in(form(ada, otp=await factor.code()))).json()
    assert roles_in(again) == ["member"]
    assert await status_with(command_side, again["access_token"]) == 201
    spare = (await command_side.sign_in(form(ada, otp=codes[0]))).json()
    assert roles_in(spare) == ["member"]


@pytest.mark.asvs("V6.3.3")
async def test_rule_counts_from_the_next_token_on_in_this_tenant_alone(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = await signed_in(command_side, ada)
    await require(command_side)
    assert roles_in((await refresh(command_side, token["refresh_token"])).json()) == []
    await command_side.create_tenant("acme")
    sam = await command_side.register("Sam", tenant="acme")
    elsewhere = (await command_side.sign_in(form(sam), Tenant="acme")).json()
    assert roles_in(elsewhere) == ["member"]
    await require(command_side, False)
    assert roles_in(await signed_in(command_side, ada)) == ["member"]
