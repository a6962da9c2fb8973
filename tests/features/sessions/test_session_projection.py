"""A session's row follows from its events."""

from datetime import timedelta
from uuid import UUID

from query_service.features.sessions.projection import PROJECTION
from shared_kernel.events.sessions import SessionElevated, SessionEnded, SessionRefreshed, SessionStarted
from tests.support.stories import NOON, given

ID = UUID("0197d3a6-0b7d-7c19-8a5e-6d8a5f0e2b43")
USER = UUID("0197d3a5-5a10-7d0f-8f44-0c6d1d3c7a02")


LATER = NOON + timedelta(minutes=5)
STARTED = SessionStarted(session_id=ID, user_id=USER, methods=("pwd",), expires_at=NOON + timedelta(hours=12))


def test_started_session_belongs_to_its_user_until_it_expires() -> None:
    given(STARTED).folded_by(PROJECTION).then(
        {
            "id": ID,
            "user_id": USER,
            "methods": ["pwd"],
            "created_at": NOON,
            "used_at": NOON,
            "expires_at": NOON + timedelta(hours=12),
            "ended_at": None,
        }
    )


def test_every_new_token_is_a_use() -> None:
    refreshed = SessionRefreshed(session_id=ID, user_id=USER, refresh_hash="x", refreshed_at=LATER)
    elevated = SessionElevated(session_id=ID, user_id=USER, methods=("otp",), elevated_at=LATER + timedelta(minutes=1))
    given(STARTED, refreshed).folded_by(PROJECTION).then({"used_at": LATER, "version": 2})
    given(STARTED, refreshed, elevated).folded_by(PROJECTION).then({"used_at": elevated.elevated_at, "version": 3})


def test_ended_session_stays_with_its_reason_and_the_time_of_the_log() -> None:
    ended = SessionEnded(session_id=ID, user_id=USER, reason="limit", ended_at=LATER)
    given(STARTED, ended).folded_by(PROJECTION).then({"ended_at": NOON, "end_reason": "limit", "version": 2})
