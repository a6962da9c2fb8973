"""How the events of a sign-in session become its row."""

from typing import Any

from query_service.features.sessions.views import SESSIONS
from query_service.infrastructure.projection import Key, Projection, Row, existing
from shared_kernel.clock import moment
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.sessions import SessionElevated, SessionEnded, SessionRefreshed, SessionStarted


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.session_id


def on_session_started(_: Row | None, recorded: Recorded[SessionStarted]) -> Row:
    event = recorded.event
    return {
        "tenant": recorded.row.tenant,
        "id": event.session_id,
        "version": recorded.row.version,
        "created_position": recorded.row.position,
        "user_id": event.user_id,
        "methods": list(event.methods),
        "created_at": moment(recorded.row.recorded_at),
        "expires_at": event.expires_at,
        "used_at": event.started_at or moment(recorded.row.recorded_at),
        "device": event.device,
        "network": event.network,
        "ended_at": None,
        "end_reason": None,
    }


def on_session_refreshed(row: Row | None, recorded: Recorded[SessionRefreshed]) -> Row:
    return {**existing(row), "version": recorded.row.version, "used_at": recorded.event.refreshed_at}


def on_session_elevated(row: Row | None, recorded: Recorded[SessionElevated]) -> Row:
    return {**existing(row), "version": recorded.row.version, "used_at": recorded.event.elevated_at}


def on_session_ended(row: Row | None, recorded: Recorded[SessionEnded]) -> Row:
    """The log's own time says when, for it decides for how long a token of the session may still be out."""
    ended = {"ended_at": moment(recorded.row.recorded_at), "end_reason": recorded.event.reason}
    return {**existing(row), "version": recorded.row.version, **ended}


PROJECTION = Projection(
    name="sessions",
    version=2,
    table=SESSIONS,
    key_of=key_of,
    folds={
        SessionStarted: on_session_started,
        SessionRefreshed: on_session_refreshed,
        SessionElevated: on_session_elevated,
        SessionEnded: on_session_ended,
    },
)
