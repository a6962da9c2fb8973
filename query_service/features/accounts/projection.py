"""How the events of an account become its row."""

from typing import Any

from query_service.features.accounts.views import USERS
from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.clock import moment
from shared_kernel.events.accounts import UserRegistered
from shared_kernel.events.envelope import Recorded


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.user_id


def on_user_registered(_: Row | None, recorded: Recorded[UserRegistered]) -> Row:
    event, at = recorded.event, moment(recorded.row.recorded_at)
    return {
        "tenant": recorded.row.tenant,
        "id": event.user_id,
        "version": recorded.row.version,
        "created_position": recorded.row.position,
        "email": event.email,
        "name": event.name,
        "created_at": at,
        "updated_at": at,
    }


PROJECTION = Projection(
    name="users",
    version=1,
    table=USERS,
    key_of=key_of,
    folds={UserRegistered: on_user_registered},
)
