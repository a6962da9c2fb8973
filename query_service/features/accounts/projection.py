"""How the events of an account become its row."""

from typing import Any

from query_service.features.accounts.views import USERS
from query_service.infrastructure.projection import Key, Projection, Row, existing
from shared_kernel.clock import moment
from shared_kernel.events.accounts import (
    PasswordChanged,
    ProfileChanged,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from shared_kernel.events.envelope import Recorded

ACTIVE = "active"
SUSPENDED = "suspended"


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
        "state": ACTIVE,
        "suspended_at": None,
        "suspension_reason": None,
    }


def on_password_changed(row: Row | None, recorded: Recorded[PasswordChanged]) -> Row:
    return _changed(row, recorded)


def on_profile_changed(row: Row | None, recorded: Recorded[ProfileChanged]) -> Row:
    return _changed(row, recorded, name=recorded.event.name)


def on_user_suspended(row: Row | None, recorded: Recorded[UserSuspended]) -> Row:
    at = moment(recorded.row.recorded_at)
    return _changed(row, recorded, state=SUSPENDED, suspended_at=at, suspension_reason=recorded.event.reason)


def on_user_reinstated(row: Row | None, recorded: Recorded[UserReinstated]) -> Row:
    return _changed(row, recorded, state=ACTIVE, suspended_at=None, suspension_reason=None)


def _changed(row: Row | None, recorded: Recorded[Any], **values: Any) -> Row:
    facts = {"version": recorded.row.version, "updated_at": moment(recorded.row.recorded_at)}
    return {**existing(row), **facts, **values}


PROJECTION = Projection(
    name="users",
    version=1,
    table=USERS,
    key_of=key_of,
    folds={
        UserRegistered: on_user_registered,
        PasswordChanged: on_password_changed,
        ProfileChanged: on_profile_changed,
        UserSuspended: on_user_suspended,
        UserReinstated: on_user_reinstated,
    },
)
