"""Who may say what others may do."""

from shared_kernel.feature import Permission, Policy

ADD = Permission("policies", "add")
REMOVE = Permission("policies", "remove")

PERMISSIONS = (ADD, REMOVE)
POLICIES = tuple(Policy("admin", permission) for permission in PERMISSIONS)
