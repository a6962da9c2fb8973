"""Who may say which roles a user holds."""

from shared_kernel.feature import Permission, Policy

GRANT = Permission("roles", "grant")
WITHDRAW = Permission("roles", "withdraw")

PERMISSIONS = (GRANT, WITHDRAW)
POLICIES = tuple(Policy("admin", permission) for permission in PERMISSIONS)
