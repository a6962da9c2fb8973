"""Who may read resources, and whose history; what a rule may know of a resource, as a value and in SQL."""

from collections.abc import Mapping
from typing import Any

from shared_kernel.auth.policy import Columns, ObjectAttributes
from shared_kernel.feature import Permission, Policy

READ = Permission("resources", "read")
READ_HISTORY = Permission("resources", "read-history")

PERMISSIONS = (READ, READ_HISTORY)
POLICIES = (
    Policy("admin", READ),
    Policy("auditor", READ),
    Policy("member", READ, "visible"),
    Policy("admin", READ_HISTORY),
    Policy("auditor", READ_HISTORY),
    Policy("member", READ_HISTORY, "own"),
)

COLUMNS = Columns(tenant="r.tenant", owner="r.owner", state="r.state", classification="r.classification")


def attributes_of(row: Mapping[str, Any]) -> ObjectAttributes:
    """The same attributes as COLUMNS, of a row that has been read."""
    return ObjectAttributes(READ.kind, row["tenant"], row["owner"], row["state"], row["classification"])
