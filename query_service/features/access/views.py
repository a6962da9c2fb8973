"""The table of role bindings: who holds which role, and since when."""

from query_service.infrastructure.projection import Table

ROLE_BINDINGS = Table(
    name="role_bindings",
    key=("tenant", "user_id", "role"),
    columns={
        "tenant": "text",
        "user_id": "uuid",
        "role": "text",
        "granted_by": "text",
        "granted_at": "timestamptz",
    },
)
