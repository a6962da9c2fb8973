"""Events of tenants (stream `tenants-<slug>`) and of a user's roles (stream `roles-<user_id>`)."""

from typing import ClassVar
from uuid import UUID

from shared_kernel.events.contract import Event


class TenantCreated(Event):
    """A tenant may be used from now on."""

    TOPIC: ClassVar[str] = "access.TenantCreated.v1"

    slug: str


class RoleGranted(Event):
    """A user holds a further role."""

    TOPIC: ClassVar[str] = "access.RoleGranted.v1"

    user_id: UUID
    role: str


class RoleWithdrawn(Event):
    """A user no longer holds a role."""

    TOPIC: ClassVar[str] = "access.RoleWithdrawn.v1"

    user_id: UUID
    role: str
