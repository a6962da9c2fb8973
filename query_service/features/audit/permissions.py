"""Who may read the log: admins and auditors all of their tenant, members what concerns themselves."""

from uuid import UUID

from query_service.infrastructure.audit_log import READ_PERSONAL
from shared_kernel.auth.policy import Columns, ObjectAttributes
from shared_kernel.feature import Permission, Policy

READ = Permission("audit", "read")

PERMISSIONS = (READ, READ_PERSONAL)
POLICIES = (
    Policy("admin", READ),
    Policy("auditor", READ),
    Policy("member", READ, "own"),
    Policy("admin", READ_PERSONAL),
    Policy("auditor", READ_PERSONAL),
)

COLUMNS = Columns(tenant="a.tenant", owner="o.owner")


def attributes_of(tenant: str, owner: UUID | None) -> ObjectAttributes:
    """The same attributes as COLUMNS, of an event that has been read; its owner is whom its stream concerns."""
    return ObjectAttributes(READ.kind, tenant, owner)
