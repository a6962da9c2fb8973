"""A session's row follows from its events."""

from datetime import timedelta
from uuid import UUID

from query_service.features.sessions.projection import PROJECTION
from shared_kernel.events.sessions import SessionStarted
from tests.support.stories import NOON, given

ID = UUID("0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43")
USER = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")


def test_started_session_belongs_to_its_user_until_it_expires() -> None:
    until = NOON + timedelta(hours=12)
    started = SessionStarted(session_id=ID, user_id=USER, methods=("pwd",), expires_at=until)
    given(started).folded_by(PROJECTION).then(
        {"id": ID, "user_id": USER, "methods": ["pwd"], "created_at": NOON, "expires_at": until}
    )
