"""Everybody who is signed in may see their own sessions, and nobody sees another's."""

from shared_kernel.auth.policy import Columns
from shared_kernel.auth.ruleset import EVERY_ROLE
from shared_kernel.feature import Permission, Policy

READ_OWN = Permission("sessions", "read-own")

PERMISSIONS = (READ_OWN,)
POLICIES = (Policy(EVERY_ROLE, READ_OWN, "own"),)

COLUMNS = Columns(tenant="s.tenant", owner="s.user_id")
