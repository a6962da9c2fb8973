"""Who may look at the machinery: operators, and those who administer or audit."""

from shared_kernel.feature import Permission, Policy

READ_PROJECTIONS = Permission("operations", "read-projections")

PERMISSIONS = (READ_PROJECTIONS,)
POLICIES = (
    Policy("admin", READ_PROJECTIONS),
    Policy("operator", READ_PROJECTIONS),
    Policy("auditor", READ_PROJECTIONS),
)
