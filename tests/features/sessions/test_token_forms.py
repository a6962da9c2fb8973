"""What the forms of the token endpoint ask for, and what they lack."""

import pytest
from pydantic import SecretStr

from command_service.features.sessions.commands import Refresh, SignIn, TokenForm
from command_service.features.sessions.domain.refusals import InvalidRequest, UnsupportedGrantType, grant_of


def test_password_grant_names_who_is_signing_in() -> None:
    form = TokenForm(
        grant_type="password", username="ada@example.com", password=SecretStr("secret"), otp=SecretStr("123456")
    )
    assert grant_of(form) == SignIn("ada@example.com", "secret", "123456")
    assert "secret" not in repr(grant_of(form))
    assert "123456" not in repr(grant_of(form))


def test_refresh_grant_shows_a_token() -> None:
    form = TokenForm(grant_type="refresh_token", refresh_token=SecretStr("tlr_x"))
    assert grant_of(form) == Refresh("tlr_x")
    assert "tlr_x" not in repr(grant_of(form))


@pytest.mark.parametrize("grant_type", ["client_credentials", "PASSWORD", "password ", "authorization_code"])
def test_other_grant_types_are_not_supported(grant_type: str) -> None:
    with pytest.raises(UnsupportedGrantType):
        grant_of(TokenForm(grant_type=grant_type, username="ada@example.com", password=SecretStr("x")))


@pytest.mark.parametrize(
    ("grant_type", "username", "password"),
    [("", "a", "b"), ("password", "", "b"), ("password", "a", ""), ("refresh_token", "a", "b")],
)
def test_fields_without_a_value_count_as_missing(grant_type: str, username: str, password: str) -> None:
    with pytest.raises(InvalidRequest):
        grant_of(TokenForm(grant_type=grant_type, username=username, password=SecretStr(password)))
