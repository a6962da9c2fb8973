"""The operators' book: who asked what of which read model, and why."""

from typing import Any

from query_service.features.operations.views import TABLE
from query_service.infrastructure.projection import Key, Projection, Row
from shared_kernel.clock import rfc3339
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.operations import (
    ParkedRetryRequested,
    ParkedSkipApproved,
    RebuildCancelled,
    RebuildPaused,
    RebuildRequested,
    RebuildResumed,
    RollbackRequested,
    SwitchApproved,
)


def key_of(recorded: Recorded[Any]) -> Key:
    """Every request is a row of its own."""
    return recorded.row.tenant, recorded.row.position


def on_request(_: Row | None, recorded: Recorded[Any]) -> Row:
    """What was asked, under the bare name of its event."""
    return {
        "tenant": recorded.row.tenant,
        "position": recorded.row.position,
        "projection": recorded.event.projection,
        "action": type(recorded.event).__name__,
        "actor": recorded.metadata.actor,
        "reason": recorded.event.reason,
        "recorded_at": rfc3339(recorded.row.recorded_at),
    }


PROJECTION = Projection(
    name="operations",
    version=1,
    table=TABLE,
    key_of=key_of,
    folds=dict.fromkeys(
        (
            RebuildRequested,
            RebuildPaused,
            RebuildResumed,
            RebuildCancelled,
            SwitchApproved,
            RollbackRequested,
            ParkedRetryRequested,
            ParkedSkipApproved,
        ),
        on_request,
    ),
)
