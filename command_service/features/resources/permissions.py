"""Who may do what to a resource; what a rule may know of one is `attributes_of` in `handlers.py`."""

from shared_kernel.feature import Permission, Policy

CREATE = Permission("resources", "create")
CHANGE = Permission("resources", "change")
ARCHIVE = Permission("resources", "archive")
RESTORE = Permission("resources", "restore")

PERMISSIONS = (CREATE, CHANGE, ARCHIVE, RESTORE)
POLICIES = (
    Policy("member", CREATE),
    *(Policy("member", permission, "own") for permission in (CHANGE, ARCHIVE, RESTORE)),
    *(Policy("admin", permission) for permission in PERMISSIONS),
)
