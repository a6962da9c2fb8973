"""Every tenant's own policies as one process knows them, put in force as soon as it hears of a change."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import structlog

from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.ruleset import UnusablePolicy
from shared_kernel.events.contract import Event
from shared_kernel.events.envelope import Recorded
from shared_kernel.events.policies import PolicyAdded, PolicyRemoved
from shared_kernel.feature import Permission, Policy


@dataclass(frozen=True, slots=True)
class PolicyNews:
    """What a policy became at a position of the log; `policy` is None once it was removed."""

    position: int
    tenant: str
    policy_id: UUID
    policy: Policy | None


class TenantPolicies:
    """Keeps the engine's rules for each tenant equal to what `learn` was told.

    A tenant whose policies this code cannot use (they were written by a later release, say) is denied everything: to
    leave one out could let somebody in.
    """

    def __init__(self, engine: PolicyEngine) -> None:
        self.position = 0
        self._engine = engine
        self._known: dict[str, dict[UUID, PolicyNews]] = {}
        self._log = structlog.get_logger("policies")

    def count(self, tenant: str) -> int:
        """How many policies of its own a tenant has."""
        return len(self._policies(tenant))

    def learn(self, news: Iterable[PolicyNews], *, anew: bool = False) -> None:
        """Take up changes, in whatever order they are heard of; `position` is then the newest one.

        What is older than what is known of a policy changes nothing, unless everything is learnt anew, because a log
        may be restored.
        """
        before = self._known
        if anew:
            self.position, self._known = 0, {}
        changed = {each.tenant for each in news if self._take(each)}
        for tenant in changed | (before.keys() if anew else set()):
            self._put_in_force(tenant)

    def _take(self, news: PolicyNews) -> bool:
        of_tenant = self._known.setdefault(news.tenant, {})
        known = of_tenant.get(news.policy_id)
        if known is not None and known.position >= news.position:
            return False
        of_tenant[news.policy_id] = news
        self.position = max(self.position, news.position)
        return True

    def _policies(self, tenant: str) -> list[Policy]:
        return [each.policy for each in self._known.get(tenant, {}).values() if each.policy is not None]

    def _put_in_force(self, tenant: str) -> None:
        try:
            version = self._engine.replace(tenant, self._policies(tenant))
        except UnusablePolicy as error:
            self._engine.close(tenant)
            self._log.error("policies cannot be used: everything is denied", tenant=tenant, reason=str(error))
        else:
            self._log.info("policies in force", tenant=tenant, own=self.count(tenant), policy_version=version)


def news_of(recorded: Recorded[Event]) -> PolicyNews:
    """What an event of a policy's stream tells. Raises UnusablePolicy for any other event."""
    row, event = recorded.row, recorded.event
    match event:
        case PolicyAdded():
            policy = policy_of(event.role, event.permission, event.condition, event.effect)
            return PolicyNews(row.position, row.tenant, event.policy_id, policy)
        case PolicyRemoved():
            return PolicyNews(row.position, row.tenant, event.policy_id, None)
    raise UnusablePolicy(f"{row.topic} tells nothing about a policy")


def policy_of(role: str, permission: str, condition: str, effect: str) -> Policy:
    """A rule as events and read models write it; whether it can be used shows when it is put in force."""
    kind, _, action = permission.partition(":")
    return Policy(role, Permission(kind, action), condition, effect)
