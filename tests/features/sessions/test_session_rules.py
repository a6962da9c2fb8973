"""The rules of a sign-in session, told as given / when / then."""

from datetime import timedelta
from uuid import UUID

from command_service.features.sessions.commands import StartSession
from command_service.features.sessions.domain import start_session
from shared_kernel.events.sessions import SessionStarted
from tests.support.given import NOON, given

SESSION = UUID("0192f000-0000-7000-8000-000000000001")
USER = UUID("0192f000-0000-7000-8000-000000000002")


def test_session_ends_twelve_hours_after_sign_in() -> None:
    command = StartSession(SESSION, USER, ("pwd",))
    started = SessionStarted(session_id=SESSION, user_id=USER, methods=("pwd",), expires_at=NOON + timedelta(hours=12))
    given().at(NOON).when(start_session, command).then(started)
