"""The rules of a user account, told as given / when / then, and the values it is opened with."""

from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import ValidationError

from command_service.features.accounts.commands import (
    ChangePassword,
    ChangeProfile,
    RegisterUser,
    Registration,
    ReinstateUser,
    SuspendUser,
    Suspension,
    TellOfThrottling,
)
from command_service.features.accounts.domain import (
    OwnAccountIsNotSuspended,
    User,
    WrongPassword,
    change_password,
    change_profile,
    evolve,
    evolve_alerts,
    register_user,
    reinstate_user,
    suspend_user,
    tell_of_throttling,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.accounts import (
    PasswordChanged,
    ProfileChanged,
    SignInsThrottled,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from tests.support.given import NOON, given

ID = UUID("0192f000-0000-7000-8000-000000000001")
ADMIN = UUID("0192f000-0000-7000-8000-000000000002")
SUSPENDED = UserSuspended(user_id=ID, reason="left")
REGISTERED = UserRegistered(user_id=ID, email="ada@example.com", name="Ada", password_hash="$argon2id$...")


def registration(**members: str) -> Registration:
    return Registration.model_validate(
        {"email": "ada@example.com", "password": "winter-otter-plays-chess", "name": "Ada", **members}
    )


def test_registration_opens_an_account() -> None:
    command = RegisterUser(ID, "ada@example.com", "Ada", "$argon2id$...")
    given().when(register_user, command).then(REGISTERED)


def test_account_knows_its_password_hash() -> None:
    assert given(REGISTERED).by(evolve).state == User(ID, "$argon2id$...")


def test_account_is_opened_only_once_and_begins_with_that() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(User(ID, "x"), REGISTERED)
    with pytest.raises(ImpossibleHistory):
        evolve(None, SUSPENDED)
    with pytest.raises(ImpossibleHistory):
        evolve_alerts(None, REGISTERED)


def test_password_is_changed_by_whoever_showed_the_one_that_counts() -> None:
    changed = PasswordChanged(user_id=ID, password_hash="$new")
    command = ChangePassword("$argon2id$...", "$new")
    given(REGISTERED).by(evolve).when(change_password, command).then(changed)
    given(REGISTERED, changed).by(evolve).when(change_password, command).then_refused(WrongPassword)
    assert given(REGISTERED, changed).by(evolve).state.password_hash == "$new"


def test_profile_changes_once_and_only_what_is_said() -> None:
    changed = ProfileChanged(user_id=ID, name="Ada King")
    given(REGISTERED).by(evolve).when(change_profile, ChangeProfile("Ada King")).then(changed)
    given(REGISTERED).by(evolve).when(change_profile, ChangeProfile("Ada")).then_nothing()
    given(REGISTERED).by(evolve).when(change_profile, ChangeProfile(None)).then_nothing()
    given(REGISTERED, changed).by(evolve).when(change_profile, ChangeProfile("Ada King")).then_nothing()


def test_somebody_else_suspends_and_says_why() -> None:
    given(REGISTERED).by(evolve).when(suspend_user, SuspendUser(ADMIN, "left")).then(SUSPENDED)
    given(REGISTERED, SUSPENDED).by(evolve).when(suspend_user, SuspendUser(ADMIN, "left")).then_nothing()
    again = UserSuspended(user_id=ID, reason="on leave")
    given(REGISTERED, SUSPENDED).by(evolve).when(suspend_user, SuspendUser(ADMIN, "on leave")).then(again)
    given(REGISTERED).by(evolve).when(suspend_user, SuspendUser(ID, "left")).then_refused(OwnAccountIsNotSuspended)


def test_suspended_user_is_reinstated_once() -> None:
    reinstated = UserReinstated(user_id=ID)
    given(REGISTERED, SUSPENDED).by(evolve).when(reinstate_user, ReinstateUser()).then(reinstated)
    given(REGISTERED, SUSPENDED, reinstated).by(evolve).when(reinstate_user, ReinstateUser()).then_nothing()
    given(REGISTERED).by(evolve).when(reinstate_user, ReinstateUser()).then_nothing()
    assert given(REGISTERED, SUSPENDED).by(evolve).state.suspended
    assert not given(REGISTERED, SUSPENDED, reinstated).by(evolve).state.suspended


def test_suspension_outlives_the_erasure_of_its_reason() -> None:
    erased = UserSuspended(user_id=ID, reason="[erased]")
    assert given(REGISTERED, erased).by(evolve).state.suspended


def test_user_is_told_of_refused_sign_ins_once_an_hour() -> None:
    told = SignInsThrottled(user_id=ID, throttled_at=NOON)
    command, later = TellOfThrottling(ID), NOON + timedelta(hours=1)
    given().when(tell_of_throttling, command).then(told)
    given(told).by(evolve_alerts).at(later - timedelta(seconds=1)).when(tell_of_throttling, command).then_nothing()
    again = SignInsThrottled(user_id=ID, throttled_at=later)
    given(told).by(evolve_alerts).at(later).when(tell_of_throttling, command).then(again)
    assert given(told, again).by(evolve_alerts).state.told_at == later


def test_reason_of_a_suspension_is_one_line_of_1_to_500_characters() -> None:
    assert Suspension(reason=" left ").reason == "left"
    for reason in ("", " ", "x" * 501, "a\nb", "a\x00"):
        with pytest.raises(ValidationError):
            Suspension(reason=reason)


def test_addresses_inside_and_outside_a_company_are_accepted() -> None:
    for address in (
        "ada@example.com",
        "ada+x@mail.internal",
        "Ada@corp.local",
        "ada@localhost",
        "x@y.test",
        "ädä@exämple.de",
    ):
        registration(email=address)


def test_address_is_kept_in_its_normal_form() -> None:
    assert registration(email=" Ada@EXAMPLE.com ").email == "Ada@example.com"


def test_what_is_no_address_is_refused_without_repeating_it() -> None:
    for address in (
        "",
        "ada",
        "ada@",
        "ada@.",
        "ada@ x.de",
        "ada@x.com,b@y.de",
        "@example.com",
        "a b@example.com",
        "a@b@c.de",
        "a\x00@example.com",
        "\ud800@e.de",
    ):
        with pytest.raises(ValidationError) as raised:
            registration(email=address)
        assert len(address) < 2 or address not in str(raised.value)


def test_name_is_one_line_of_1_to_200_characters() -> None:
    assert registration(name=" Ada Lovelace ").name == "Ada Lovelace"
    for name in ("", " ", "x" * 201, "a\nb", "a\x00"):
        with pytest.raises(ValidationError):
            registration(name=name)


def test_password_does_not_show_when_printed() -> None:
    assert "otter" not in repr(registration())
    with pytest.raises(ValidationError):
        registration(password="x" * 129)
