"""Whom each stream of the log concerns: the person it is about, or the owner of the object it is about."""

from typing import Any

from query_service.features.audit.views import STREAM_OWNERS
from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.events.access import RoleGranted
from shared_kernel.events.accounts import SignInsThrottled, UserRegistered
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.resources import ResourceCreated
from shared_kernel.events.sessions import SessionStarted, TotpEnrolled


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.row.stream


def on_stream_of_person(
    _: Row | None,
    recorded: Recorded[UserRegistered | SessionStarted | TotpEnrolled | RoleGranted | SignInsThrottled],
) -> Row:
    return {"tenant": recorded.row.tenant, "stream": recorded.row.stream, "owner": recorded.event.user_id}


def on_resource_created(_: Row | None, recorded: Recorded[ResourceCreated]) -> Row:
    return {"tenant": recorded.row.tenant, "stream": recorded.row.stream, "owner": recorded.event.owner}


PROJECTION = Projection(
    name="stream_owners",
    version=1,
    table=STREAM_OWNERS,
    key_of=key_of,
    folds={
        UserRegistered: on_stream_of_person,
        SessionStarted: on_stream_of_person,
        TotpEnrolled: on_stream_of_person,
        RoleGranted: on_stream_of_person,
        SignInsThrottled: on_stream_of_person,
        ResourceCreated: on_resource_created,
    },
)
