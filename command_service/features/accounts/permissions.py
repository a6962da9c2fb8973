"""Anybody may register, everybody rules their own account, and administrators say who is let in."""

from shared_kernel.feature import Permission, Policy

CHANGE_PASSWORD = Permission("accounts", "change-password")
CHANGE_PROFILE = Permission("accounts", "change-profile")
SUSPEND = Permission("accounts", "suspend")
REINSTATE = Permission("accounts", "reinstate")

PERMISSIONS = (CHANGE_PASSWORD, CHANGE_PROFILE, SUSPEND, REINSTATE)
POLICIES = (
    Policy("*", CHANGE_PASSWORD, "own"),
    Policy("*", CHANGE_PROFILE, "own"),
    Policy("admin", SUSPEND),
    Policy("admin", REINSTATE),
)
