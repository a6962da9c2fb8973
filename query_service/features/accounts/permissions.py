"""Who may read accounts: everybody their own, admins and auditors all of their tenant, admins alone why one is
suspended.
"""

from collections.abc import Mapping
from typing import Any

from shared_kernel.auth.policy import Columns, ObjectAttributes
from shared_kernel.auth.ruleset import EVERY_ROLE
from shared_kernel.feature import Permission, Policy

READ_OWN = Permission("accounts", "read-own")
READ = Permission("accounts", "read")
READ_REASON = Permission("accounts", "read-suspension-reason")

PERMISSIONS = (READ_OWN, READ, READ_REASON)
POLICIES = (
    Policy(EVERY_ROLE, READ_OWN),
    Policy("admin", READ),
    Policy("auditor", READ),
    Policy("admin", READ_REASON),
)

COLUMNS = Columns(tenant="u.tenant", owner="u.id")


def attributes_of(row: Mapping[str, Any]) -> ObjectAttributes:
    """The same attributes as COLUMNS, of a row that has been read: an account belongs to its user."""
    return ObjectAttributes(READ.kind, row["tenant"], row["id"])
