"""From a command about tenants and roles to its answer, and the roles that a sign-in asks for."""

import asyncio
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from command_service.features.access.commands import (
    ChangeRegistration,
    ChangeSecondFactor,
    CreateTenant,
    GrantRole,
    InvitationDetails,
    IssueInvitation,
    Role,
    WithdrawInvitation,
    WithdrawRole,
)
from command_service.features.access.domain import (
    Tenant,
    TenantAlreadyExists,
    change_registration,
    change_second_factor,
    create_tenant,
    evolve_invitation,
    evolve_roles,
    evolve_tenant,
    grant_role,
    held_by,
    issue_invitation,
    withdraw_invitation,
    withdraw_role,
)
from command_service.features.access.permissions import SET_REGISTRATION, UNINVITE
from command_service.infrastructure.aggregate import Aggregate, Claims
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.codes import hash_of, new_code
from shared_kernel.clock import microseconds, rfc3339
from shared_kernel.errors import NotFound, VersionConflict
from shared_kernel.events.access import InvitationIssued

TENANTS = Aggregate("tenants", evolve_tenant)
ROLES = Aggregate("roles", evolve_roles)
INVITATIONS = Aggregate("invitations", evolve_invitation)


class Herald(Protocol):
    """Whoever can tell every process that there is news."""

    async def announce(self) -> None: ...


class AccessHandlers:
    """Carries out what can be asked about tenants and roles."""

    def __init__(self, execution: Execution, herald: Herald) -> None:
        self._execution = execution
        self._herald = herald

    async def create_tenant(self, command: CreateTenant, call: Call) -> Answer:
        claims: Claims = {Claim(ClaimAction.TAKE, "tenant", command.slug): TenantAlreadyExists()}
        return await self._execution.run(TENANTS.record(command.slug, create_tenant, command, claims=claims), call)

    async def change_registration(self, command: ChangeRegistration, call: Call) -> Answer:
        work = TENANTS.change(call.tenant, change_registration, command, SET_REGISTRATION)
        return await self._execution.run(work, call)

    async def change_second_factor(self, command: ChangeSecondFactor, call: Call) -> Answer:
        """On an operator's word. Raises NotFound."""
        return await self._execution.run(TENANTS.record(call.tenant, change_second_factor, command), call)

    async def invite(self, details: InvitationDetails, call: Call) -> Answer:
        """The answer shows the code, this once."""
        code, invitation_id = new_code(), self._execution.ids.new()
        command = IssueInvitation(invitation_id, hash_of(code), details.lifetime)
        claims: Claims = {Claim(ClaimAction.TAKE, "invitation", command.code_hash): VersionConflict()}
        work = INVITATIONS.creation(invitation_id, issue_invitation, command, claims=claims)
        answer = await self._execution.run(replace(work, secret=True), call)
        ends = [event.expires_at for event in answer.events if isinstance(event, InvitationIssued)]
        return answer.saying(code=code, expires_at=rfc3339(microseconds(ends[0])))

    async def uninvite(self, invitation_id: UUID, call: Call) -> Answer:
        """Raises NotFound."""
        found = await self._execution.load(INVITATIONS, call.tenant, INVITATIONS.stream(invitation_id))
        if found.state is None:
            raise NotFound
        claims: Claims = {Claim(ClaimAction.RELEASE, "invitation", found.state.code_hash): VersionConflict()}
        work = INVITATIONS.change(invitation_id, withdraw_invitation, WithdrawInvitation(invitation_id), UNINVITE)
        return await self._execution.run(replace(work, claims=claims), call)

    async def claims_of_registration(self, tenant: str, code: str) -> tuple[Claim, ...] | None:
        """What a registration in this tenant must hold; None when it needs an invitation that this code is not."""
        found = await self._tenant(tenant)
        if found is None or not found.invitation_only:
            return ()
        hashed = hash_of(code)
        holder = await self._execution.store.claim_holder(tenant, "invitation", hashed)
        invitation = (await self._execution.load(INVITATIONS, tenant, holder)).state if holder else None
        if invitation is None or not invitation.counts(self._execution.clock.now()):
            return None
        return Claim(ClaimAction.REQUIRE, "invitation", hashed), Claim(ClaimAction.TAKE, "invitation-use", hashed)

    async def grant(self, command: GrantRole, call: Call) -> Answer:
        claims = _existing(command.user_id)
        return await self._execution.run(ROLES.record(command.user_id, grant_role, command, claims=claims), call)

    async def withdraw(self, command: WithdrawRole, call: Call) -> Answer:
        """Tokens with the roles of before are refused from now on; a refresh brings the roles that are left."""
        claims = _existing(command.user_id)
        work = ROLES.record(command.user_id, withdraw_role, command, claims=claims)
        answer = await self._execution.run(work, call)
        await self._herald.announce()
        return answer

    async def roles_of(self, tenant: str, user_id: UUID, *, two_factors: bool = False) -> tuple[tuple[str, ...], int]:
        """Every role of a user, the one that needs no grant first, and the version of these bindings.

        None where the tenant asks for a second factor.
        """
        found, rule = await asyncio.gather(
            self._execution.load(ROLES, tenant, ROLES.stream(user_id)), self._tenant(tenant)
        )
        if rule is not None and rule.second_factor and not two_factors:
            return (), found.version
        return (Role.MEMBER.value, *sorted(held_by(found.state))), found.version

    async def _tenant(self, tenant: str) -> Tenant | None:
        return (await self._execution.load(TENANTS, tenant, TENANTS.stream(tenant))).state


def _existing(user_id: UUID) -> Claims:
    """The user must be one of the same tenant, which no read model has to be asked for."""
    return {Claim(ClaimAction.REQUIRE, "user", str(user_id)): NotFound()}
