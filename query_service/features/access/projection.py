"""How the events of a user's roles become one row for each role that is held."""

from typing import Any

from query_service.features.access.views import ROLE_BINDINGS
from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.clock import moment
from shared_kernel.events.access import RoleGranted, RoleWithdrawn
from shared_kernel.events.envelope import Recorded


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.user_id, recorded.event.role


def on_role_granted(_: Row | None, recorded: Recorded[RoleGranted]) -> Row:
    return {
        "tenant": recorded.row.tenant,
        "user_id": recorded.event.user_id,
        "role": recorded.event.role,
        "granted_by": recorded.metadata.actor,
        "granted_at": moment(recorded.row.recorded_at),
    }


def on_role_withdrawn(_: Row | None, __: Recorded[RoleWithdrawn]) -> None:
    """The binding is gone."""


PROJECTION = Projection(
    name="role_bindings",
    version=1,
    table=ROLE_BINDINGS,
    key_of=key_of,
    folds={RoleGranted: on_role_granted, RoleWithdrawn: on_role_withdrawn},
)
