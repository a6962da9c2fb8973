"""From a command about tenants and roles to its answer, and the roles that a sign-in asks for."""

from uuid import UUID

from command_service.features.access.commands import CreateTenant, GrantRole, Role, WithdrawRole
from command_service.features.access.domain import (
    TenantAlreadyExists,
    create_tenant,
    evolve_roles,
    evolve_tenant,
    grant_role,
    held_by,
    withdraw_role,
)
from command_service.infrastructure.aggregate import Aggregate, Claims
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.errors import NotFound

TENANTS = Aggregate("tenants", evolve_tenant)
ROLES = Aggregate("roles", evolve_roles)


class AccessHandlers:
    """Carries out what can be asked about tenants and roles."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    async def create_tenant(self, command: CreateTenant, call: Call) -> Answer:
        claims: Claims = {Claim(ClaimAction.TAKE, "tenant", command.slug): TenantAlreadyExists()}
        return await self._execution.run(TENANTS.record(command.slug, create_tenant, command, claims=claims), call)

    async def grant(self, command: GrantRole, call: Call) -> Answer:
        claims = _existing(command.user_id)
        return await self._execution.run(ROLES.record(command.user_id, grant_role, command, claims=claims), call)

    async def withdraw(self, command: WithdrawRole, call: Call) -> Answer:
        claims = _existing(command.user_id)
        return await self._execution.run(ROLES.record(command.user_id, withdraw_role, command, claims=claims), call)

    async def roles_of(self, tenant: str, user_id: UUID) -> tuple[str, ...]:
        """Every role of a user, the one that needs no grant first."""
        found = await self._execution.load(ROLES, tenant, ROLES.stream(user_id))
        return (Role.MEMBER.value, *sorted(held_by(found.state)))


def _existing(user_id: UUID) -> Claims:
    """The user must be one of the same tenant, which no read model has to be asked for."""
    return {Claim(ClaimAction.REQUIRE, "user", str(user_id)): NotFound()}
