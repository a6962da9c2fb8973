"""Nothing yet needs a permission here: anybody may register, and the tenant decides who is let in."""

from shared_kernel.feature import Permission, Policy

PERMISSIONS: tuple[Permission, ...] = ()
POLICIES: tuple[Policy, ...] = ()
