"""Who may say which roles a user holds, and who may register in a tenant."""

from shared_kernel.feature import Permission, Policy

GRANT = Permission("roles", "grant")
WITHDRAW = Permission("roles", "withdraw")
SET_REGISTRATION = Permission("tenants", "set-registration")
INVITE = Permission("invitations", "issue")
UNINVITE = Permission("invitations", "withdraw")

PERMISSIONS = (GRANT, WITHDRAW, SET_REGISTRATION, INVITE, UNINVITE)
POLICIES = tuple(Policy("admin", permission) for permission in PERMISSIONS)
