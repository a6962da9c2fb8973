"""Administrators and auditors see which policies their tenant has."""

from shared_kernel.auth.policy import Columns
from shared_kernel.feature import Permission, Policy

READ = Permission("policies", "read")

PERMISSIONS = (READ,)
POLICIES = (Policy("admin", READ), Policy("auditor", READ))

COLUMNS = Columns(tenant="p.tenant")
