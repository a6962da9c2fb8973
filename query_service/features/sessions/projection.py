"""How the events of a sign-in session become its row."""

from typing import Any

from query_service.features.sessions.views import SESSIONS
from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.clock import moment
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.sessions import SessionStarted


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
    }


PROJECTION = Projection(
    name="sessions",
    version=1,
    table=SESSIONS,
    key_of=key_of,
    folds={SessionStarted: on_session_started},
)
