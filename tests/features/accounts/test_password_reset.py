"""A forgotten password is replaced with an operator's code, and a lost second factor on an operator's word."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from command_service.features.accounts.commands import OfferPasswordReset, RedeemPasswordReset
from command_service.features.accounts.domain import (
    RESET_LIFETIME,
    User,
    WrongPassword,
    evolve,
    offer_reset,
    redeem_reset,
)
from command_service.infrastructure.call import Call
from shared_kernel.errors import NotFound
from shared_kernel.events.accounts import PasswordChanged, PasswordResetOffered, UserRegistered, UserSuspended
from tests.features.sessions.test_refresh import form, signed_in, status_with
from tests.features.sessions.test_second_factor import protected
from tests.support.command_side import CommandSide, Person
from tests.support.given import NOON, given

ID = UUID("0192f000-0000-7000-8000-000000000001")
CALL = Call.of_system("default", "test")
NEW = "summer-heron-reads-maps"
REGISTERED = UserRegistered(user_id=ID, email="ada@example.com", name="Ada", password_hash="old")
OFFERED = PasswordResetOffered(user_id=ID, code_hash="ab", expires_at=NOON + RESET_LIFETIME)
CHANGED = PasswordChanged(user_id=ID, password_hash="new")
REDEEM = RedeemPasswordReset("ab", "new")


def test_code_is_offered_to_who_is_registered() -> None:
    given(REGISTERED).by(evolve).when(offer_reset, OfferPasswordReset("ab")).then(OFFERED)
    given().when(offer_reset, OfferPasswordReset("ab")).then_refused(NotFound)


def test_code_that_was_offered_counts_once() -> None:
    given(REGISTERED, OFFERED).by(evolve).when(redeem_reset, REDEEM).then(CHANGED)
    given(REGISTERED).by(evolve).when(redeem_reset, REDEEM).then_refused(WrongPassword)
    given(REGISTERED, OFFERED, CHANGED).by(evolve).when(redeem_reset, REDEEM).then_refused(WrongPassword)


def test_code_does_not_count_for_the_suspended() -> None:
    suspended = UserSuspended(user_id=ID, reason="left")
    given(REGISTERED, OFFERED, suspended).by(evolve).when(redeem_reset, REDEEM).then_refused(WrongPassword)


def test_code_counts_for_an_hour() -> None:
    user = given(REGISTERED, OFFERED).by(evolve).state
    assert isinstance(user, User)
    assert user.resets_with("ab", NOON + RESET_LIFETIME - timedelta(seconds=1))
    assert not user.resets_with("ab", NOON + RESET_LIFETIME)
    assert not user.resets_with("cd", NOON)


async def offered(command_side: CommandSide, person: Person) -> str:
    return await command_side.services.credentials.offer_reset("default", person.email, CALL)


@pytest.mark.asvs("V6.4.1", "V6.4.3")
async def test_code_replaces_the_password_once_and_ends_every_session(command_side: CommandSide) -> None:
    ada = await command_side.register()
    old = await signed_in(command_side, ada)
    code = await offered(command_side, ada)
    resetting = form(ada, password=code, new_password=NEW)
    answers = await asyncio.gather(*(command_side.sign_in(resetting) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert await status_with(command_side, old["access_token"]) == 401
    (token,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert await status_with(command_side, token["access_token"]) == 201
    assert (await command_side.sign_in(form(ada))).status_code == 400
    assert (await command_side.sign_in(form(ada, password=NEW))).status_code == 200


@pytest.mark.asvs("V6.4.3")
async def test_reset_asks_for_the_second_factor_all_the_same(command_side: CommandSide) -> None:
    ada, _, factor, codes = await protected(command_side)
    code = await offered(command_side, ada)
    resetting = form(ada, password=code, new_password=NEW)
    for wrong in ({}, {"otp": "000000"}):
        assert (await command_side.sign_in({**resetting, **wrong})).status_code == 400
    assert (await command_side.sign_in(form(ada, otp=await factor.code()))).status_code == 200
    assert (await command_side.sign_in({**resetting, "otp": codes[0]})).status_code == 200


async def test_code_is_no_password_and_tells_nobody_apart(command_side: CommandSide) -> None:
    ada = await command_side.register()
    code = await offered(command_side, ada)
    wrong = await command_side.sign_in(form(ada, password="not-the-password"))
    for refused in (
        form(ada, password=code),
        form(ada, password="not-the-code", new_password=NEW),
        form(ada, username="nobody@example.com", password=code, new_password=NEW),
        form(ada, new_password=NEW),
    ):
        answer = await command_side.sign_in(refused)
        assert (answer.status_code, answer.content) == (400, wrong.content)
    weak = await command_side.sign_in(form(ada, password=code, new_password="password"))
    assert (weak.status_code, weak.json()["error"]) == (400, "invalid_request")
    with pytest.raises(NotFound):
        await command_side.services.credentials.offer_reset("default", "nobody@example.com", CALL)


@pytest.mark.asvs("V6.4.4")
async def test_lost_second_factor_is_removed_by_an_operator_and_every_session_ends(command_side: CommandSide) -> None:
    ada, token, _, _ = await protected(command_side)
    assert (await command_side.sign_in(form(ada))).status_code == 400
    removed = await command_side.services.totp.remove_of(ada.id, CALL)
    assert len(removed.events) == 1
    assert await status_with(command_side, token["access_token"]) == 401
    assert (await command_side.sign_in(form(ada))).status_code == 200
    assert (await command_side.services.totp.remove_of(ada.id, CALL)).events == ()
