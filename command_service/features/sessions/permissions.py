"""Whoever knows the password may sign in; everybody signed in rules their own sessions and their second factor."""

from shared_kernel.feature import Permission, Policy

END = Permission("sessions", "end")
STEP_UP = Permission("sessions", "step-up")
ENROL_TOTP = Permission("totp", "enrol")
ACTIVATE_TOTP = Permission("totp", "activate")
REMOVE_TOTP = Permission("totp", "remove")

PERMISSIONS = (END, STEP_UP, ENROL_TOTP, ACTIVATE_TOTP, REMOVE_TOTP)
POLICIES = (
    *(Policy("*", permission, "own") for permission in PERMISSIONS),
    Policy("admin", END),
)
