"""Everybody who is signed in may see their own sessions, and nobody sees another's."""

from shared_kernel.feature import Permission, Policy

READ_OWN = Permission("sessions", "read-own")

PERMISSIONS = (READ_OWN,)
POLICIES = (
    Policy("admin", READ_OWN),
    Policy("operator", READ_OWN),
    Policy("auditor", READ_OWN),
    Policy("member", READ_OWN),
)
