"""How the events of a policy become its row, which stays when the policy is removed."""

from typing import Any

from query_service.features.policies.views import POLICIES
from query_service.infrastructure.projection import Key, Projection, Row, existing
from shared_kernel.clock import moment
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.policies import PolicyAdded, PolicyRemoved


def key_of(recorded: Recorded[Any]) -> Key:
    return recorded.row.tenant, recorded.event.policy_id


def on_policy_added(_: Row | None, recorded: Recorded[PolicyAdded]) -> Row:
    row, event = recorded.row, recorded.event
    return {
        "tenant": row.tenant,
        "id": event.policy_id,
        "version": row.version,
        "created_position": row.position,
        "changed_position": row.position,
        "role": event.role,
        "permission": event.permission,
        "condition": event.condition,
        "effect": event.effect,
        "added_by": recorded.metadata.actor,
        "added_at": moment(row.recorded_at),
        "removed_at": None,
    }


def on_policy_removed(row: Row | None, recorded: Recorded[PolicyRemoved]) -> Row:
    changed = {"changed_position": recorded.row.position, "removed_at": moment(recorded.row.recorded_at)}
    return {**existing(row), "version": recorded.row.version, **changed}


PROJECTION = Projection(
    name="policies",
    version=1,
    table=POLICIES,
    key_of=key_of,
    folds={PolicyAdded: on_policy_added, PolicyRemoved: on_policy_removed},
)
