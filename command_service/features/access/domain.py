"""The rules of tenants, of invitations to them, and of the roles that users hold."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from command_service.features.access.commands import (
    ChangeRegistration,
    ChangeSecondFactor,
    CreateTenant,
    GrantRole,
    IssueInvitation,
    Role,
    WithdrawInvitation,
    WithdrawRole,
)
from shared_kernel.errors import ImpossibleHistory, NotFound, Refusal
from shared_kernel.events.access import (
    InvitationIssued,
    InvitationWithdrawn,
    RoleGranted,
    RoleWithdrawn,
    TenantCreated,
    TenantRegistrationChanged,
    TenantSecondFactorChanged,
)
from shared_kernel.events.contract import Event


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that exists; with `invitation_only` nobody registers in it without an invitation.

    With `second_factor` whoever signs in without one holds no role, and so reaches their own account alone.
    """

    slug: str
    invitation_only: bool = False
    second_factor: bool = False


class TenantAlreadyExists(Refusal):
    """There is a tenant of this name already."""


def create_tenant(tenant: Tenant | None, command: CreateTenant, now: datetime) -> tuple[Event, ...]:
    if tenant is not None:
        raise TenantAlreadyExists
    closed = (TenantRegistrationChanged(slug=command.slug, invitation_only=True),) if command.invitation_only else ()
    return (TenantCreated(slug=command.slug), *closed)


def change_registration(tenant: Tenant, command: ChangeRegistration, now: datetime) -> tuple[Event, ...]:
    if tenant.invitation_only == command.invitation_only:
        return ()
    return (TenantRegistrationChanged(slug=tenant.slug, invitation_only=command.invitation_only),)


def change_second_factor(tenant: Tenant | None, command: ChangeSecondFactor, now: datetime) -> tuple[Event, ...]:
    if tenant is None:
        raise NotFound
    if tenant.second_factor == command.required:
        return ()
    return (TenantSecondFactorChanged(slug=tenant.slug, required=command.required),)


def evolve_tenant(tenant: Tenant | None, event: Event) -> Tenant:
    """The tenant after one more event of its stream."""
    match tenant, event:
        case None, TenantCreated():
            return Tenant(event.slug)
        case Tenant(), TenantRegistrationChanged():
            return replace(tenant, invitation_only=event.invitation_only)
        case Tenant(), TenantSecondFactorChanged():
            return replace(tenant, second_factor=event.required)
    raise ImpossibleHistory


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was issued; who registered with it shows in the claims of the log."""

    code_hash: str = field(repr=False)
    expires_at: datetime
    withdrawn: bool = False

    def counts(self, now: datetime) -> bool:
        return not self.withdrawn and now < self.expires_at


def issue_invitation(nothing: None, command: IssueInvitation, now: datetime) -> tuple[Event, ...]:
    return (
        InvitationIssued(
            invitation_id=command.invitation_id, code_hash=command.code_hash, expires_at=now + command.lifetime
        ),
    )


def withdraw_invitation(invitation: Invitation, command: WithdrawInvitation, now: datetime) -> tuple[Event, ...]:
    return () if invitation.withdrawn else (InvitationWithdrawn(invitation_id=command.invitation_id),)


def evolve_invitation(invitation: Invitation | None, event: Event) -> Invitation:
    """The invitation after one more event of its stream."""
    match invitation, event:
        case None, InvitationIssued():
            return Invitation(event.code_hash, event.expires_at)
        case Invitation(), InvitationWithdrawn():
            return replace(invitation, withdrawn=True)
    raise ImpossibleHistory


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles that a user was granted; being a member needs no grant."""

    held: frozenset[str] = frozenset()


class MembershipIsNotWithdrawn(Refusal):
    """Every registered user is a member; this role cannot be withdrawn."""


def grant_role(roles: Roles | None, command: GrantRole, now: datetime) -> tuple[Event, ...]:
    if command.role is Role.MEMBER or command.role in held_by(roles):
        return ()
    return (RoleGranted(user_id=command.user_id, role=command.role.value),)


def withdraw_role(roles: Roles | None, command: WithdrawRole, now: datetime) -> tuple[Event, ...]:
    if command.role is Role.MEMBER:
        raise MembershipIsNotWithdrawn
    if command.role not in held_by(roles):
        return ()
    return (RoleWithdrawn(user_id=command.user_id, role=command.role.value),)


def held_by(roles: Roles | None) -> frozenset[str]:
    """The granted roles; none for a user who was never granted any."""
    return frozenset() if roles is None else roles.held


def evolve_roles(roles: Roles | None, event: Event) -> Roles:
    """The roles after one more event of their stream."""
    match event:
        case RoleGranted():
            return Roles(held_by(roles) | {event.role})
        case RoleWithdrawn():
            return Roles(held_by(roles) - {event.role})
    raise ImpossibleHistory
