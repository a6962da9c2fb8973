"""Nothing yet needs a permission here: whoever knows the password may sign in."""

from shared_kernel.feature import Permission, Policy

PERMISSIONS: tuple[Permission, ...] = ()
POLICIES: tuple[Policy, ...] = ()
