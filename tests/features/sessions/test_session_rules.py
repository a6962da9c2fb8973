"""The rules of a sign-in session, told as given / when / then."""

from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from command_service.features.sessions.commands import SignIn, StartSession, TokenForm
from command_service.features.sessions.domain import (
    InvalidRequest,
    Session,
    UnsupportedGrantType,
    evolve,
    sign_in_with,
    start_session,
)
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.sessions import SessionStarted
from tests.support.given import NOON, given

SESSION = UUID("0192f000-0000-7000-8000-000000000001")
USER = UUID("0192f000-0000-7000-8000-000000000002")


def test_session_ends_twelve_hours_after_sign_in() -> None:
    command = StartSession(SESSION, USER, ("pwd",))
    started = SessionStarted(session_id=SESSION, user_id=USER, methods=("pwd",), expires_at=NOON + timedelta(hours=12))
    given().at(NOON).when(start_session, command).then(started)


def test_session_knows_its_user_and_its_end() -> None:
    started = SessionStarted(session_id=SESSION, user_id=USER, methods=("pwd",), expires_at=NOON)
    assert given(started).by(evolve).state == Session(USER, NOON)
    with pytest.raises(ImpossibleHistory):
        evolve(Session(USER, NOON), started)


def test_password_grant_names_who_is_signing_in() -> None:
    form = TokenForm(grant_type="password", username="ada@example.com", password=SecretStr("secret"))
    assert sign_in_with(form) == SignIn("ada@example.com", "secret")
    assert "secret" not in repr(sign_in_with(form))


def test_other_grant_types_are_not_supported() -> None:
    for grant_type in ("refresh_token", "client_credentials", "PASSWORD", "password "):
        with pytest.raises(UnsupportedGrantType):
            sign_in_with(TokenForm(grant_type=grant_type, username="ada@example.com", password=SecretStr("x")))


def test_fields_without_a_value_count_as_missing() -> None:
    for grant_type, username, password in (("", "a", "b"), ("password", "", "b"), ("password", "a", "")):
        with pytest.raises(InvalidRequest):
            sign_in_with(TokenForm(grant_type=grant_type, username=username, password=SecretStr(password)))
