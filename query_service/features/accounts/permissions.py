"""Who may read accounts: everybody their own, admins and auditors all of their tenant."""

from shared_kernel.feature import Permission, Policy

READ_OWN = Permission("accounts", "read-own")
READ = Permission("accounts", "read")

PERMISSIONS = (READ_OWN, READ)
POLICIES = (
    Policy("admin", READ_OWN),
    Policy("operator", READ_OWN),
    Policy("auditor", READ_OWN),
    Policy("member", READ_OWN),
    Policy("admin", READ),
    Policy("auditor", READ),
)
