"""The rules of tenants and of the roles that users hold."""

from dataclasses import dataclass
from datetime import datetime

from command_service.features.access.commands import CreateTenant, GrantRole, Role, WithdrawRole
from shared_kernel.errors import ImpossibleHistory, Refusal
from shared_kernel.events.access import RoleGranted, RoleWithdrawn, TenantCreated
from shared_kernel.events.contract import Event


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that exists."""

    slug: str


class TenantAlreadyExists(Refusal):
    """There is a tenant of this name already."""


def create_tenant(tenant: Tenant | None, command: CreateTenant, now: datetime) -> tuple[Event, ...]:
    if tenant is not None:
        raise TenantAlreadyExists
    return (TenantCreated(slug=command.slug),)


def evolve_tenant(tenant: Tenant | None, event: Event) -> Tenant:
    """The tenant after one more event of its stream."""
    match tenant, event:
        case None, TenantCreated():
            return Tenant(event.slug)
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
