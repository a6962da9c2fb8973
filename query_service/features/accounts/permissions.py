"""Who may read accounts: everybody their own, admins and auditors all of their tenant."""

from shared_kernel.auth.policy import Columns
from shared_kernel.auth.ruleset import EVERY_ROLE
from shared_kernel.feature import Permission, Policy

READ_OWN = Permission("accounts", "read-own")
READ = Permission("accounts", "read")

PERMISSIONS = (READ_OWN, READ)
POLICIES = (
    Policy(EVERY_ROLE, READ_OWN),
    Policy("admin", READ),
    Policy("auditor", READ),
)

COLUMNS = Columns(tenant="u.tenant", owner="u.id")
