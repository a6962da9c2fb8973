"""From a command about policies to its answer; every process hears of the change at once."""

from dataclasses import replace
from typing import Protocol
from uuid import UUID

from command_service.features.policies.commands import AddPolicy, RemovePolicy, Rule
from command_service.features.policies.domain import PolicyAlreadyExists, add_policy, evolve, remove_policy
from command_service.features.policies.permissions import REMOVE
from command_service.infrastructure.aggregate import Aggregate, Claims
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.errors import NotFound, VersionConflict

POLICIES = Aggregate("policies", evolve)


class Known(Protocol):
    """The tenants' policies as this process knows them."""

    def count(self, tenant: str) -> int: ...


class Herald(Protocol):
    """Whoever can tell every process that there is news."""

    async def announce(self) -> None: ...


class PolicyHandlers:
    """Carries out what can be asked about a tenant's policies."""

    def __init__(self, execution: Execution, known: Known, herald: Herald) -> None:
        self._execution = execution
        self._known = known
        self._herald = herald

    async def add(self, rule: Rule, call: Call) -> Answer:
        """Raises PolicyAlreadyExists and what `add_policy` refuses."""
        policy_id = self._execution.ids.new()
        command = AddPolicy(policy_id, rule, self._known.count(call.tenant))
        claims: Claims = {Claim(ClaimAction.TAKE, "policy", rule.text): PolicyAlreadyExists()}
        location = f"/v1/policies/{policy_id}"
        work = POLICIES.creation(policy_id, add_policy, command, claims=claims, location=location)
        return await self._told(await self._execution.run(work, call))

    async def remove(self, policy_id: UUID, call: Call) -> Answer:
        """Raises NotFound."""
        found = await self._execution.load(POLICIES, call.tenant, POLICIES.stream(policy_id))
        if found.state is None:
            raise NotFound
        released = Claim(ClaimAction.RELEASE, "policy", found.state.rule.text)
        claims: Claims = {} if found.state.removed else {released: VersionConflict()}
        work = POLICIES.change(policy_id, remove_policy, RemovePolicy(policy_id), REMOVE)
        return await self._told(await self._execution.run(replace(work, claims=claims), call))

    async def _told(self, answer: Answer) -> Answer:
        await self._herald.announce()
        return answer
