"""Who may work on the read models."""

from shared_kernel.feature import Permission, Policy

OPERATE = Permission("projections", "operate")

PERMISSIONS = (OPERATE,)
POLICIES = tuple(Policy(role, OPERATE) for role in ("operator", "admin"))
