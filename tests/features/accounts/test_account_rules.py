"""The rules of a user account, told as given / when / then, and the values it is opened with."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from command_service.features.accounts.commands import RegisterUser, Registration
from command_service.features.accounts.domain import User, evolve, register_user
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.accounts import UserRegistered
from tests.support.given import given

ID = UUID("0192f000-0000-7000-8000-000000000001")
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


def test_account_is_opened_only_once() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(User(ID, "x"), REGISTERED)


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
