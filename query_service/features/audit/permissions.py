"""Who may read the log: admins and auditors all of their tenant, members what concerns themselves."""

from shared_kernel.feature import Permission, Policy

READ = Permission("audit", "read")
READ_PERSONAL = Permission("audit", "read-personal")

PERMISSIONS = (READ, READ_PERSONAL)
POLICIES = (
    Policy("admin", READ),
    Policy("auditor", READ),
    Policy("member", READ, "own"),
    Policy("admin", READ_PERSONAL),
    Policy("auditor", READ_PERSONAL),
)
