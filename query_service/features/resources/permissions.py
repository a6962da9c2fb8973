"""Who may read resources, and whose history."""

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
