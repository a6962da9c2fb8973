"""Events of tenants (stream `tenants-<slug>`) and of a user's roles (stream `roles-<user_id>`)."""

from datetime import datetime
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


class TenantRegistrationChanged(Event):
    """From now on whoever registers in the tenant needs an invitation, or needs none."""

    TOPIC: ClassVar[str] = "access.TenantRegistrationChanged.v1"

    slug: str
    invitation_only: bool


class TenantSecondFactorChanged(Event):
    """From now on roles count in the tenant only for whoever signs in with a second factor, or for everybody."""

    TOPIC: ClassVar[str] = "access.TenantSecondFactorChanged.v1"

    slug: str
    required: bool


class InvitationIssued(Event):
    """One person may register with a code, whose SHA-256 (hexadecimal) this is; stream `invitations-<id>`."""

    TOPIC: ClassVar[str] = "access.InvitationIssued.v1"

    invitation_id: UUID
    code_hash: str
    expires_at: datetime


class InvitationWithdrawn(Event):
    """The code of this invitation counts no more."""

    TOPIC: ClassVar[str] = "access.InvitationWithdrawn.v1"

    invitation_id: UUID
