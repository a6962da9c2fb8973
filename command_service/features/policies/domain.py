"""The rules of a tenant's policies."""

from dataclasses import dataclass, replace
from datetime import datetime

from command_service.features.policies.commands import AddPolicy, RemovePolicy, Rule
from shared_kernel.errors import ImpossibleHistory, Refusal
from shared_kernel.events.contract import Event
from shared_kernel.events.policies import PERMISSIONS, PolicyAdded, PolicyRemoved

LIMIT = 200
"""Policies of one tenant: each is looked at when a decision is made for the first time.

Those who add some at the same moment may pass it, but never what a tenant's rules can hold at all: the log keeps
no rule twice, and there are not so many different ones.
"""

KEPT_OPEN = frozenset({"policies:add", "policies:remove"})
"""What administrators must be able to do to take a mistake back."""


@dataclass(frozen=True, slots=True)
class TenantPolicy:
    """A policy that was added; a removed one counts no more."""

    rule: Rule
    removed: bool = False


class PolicyAlreadyExists(Refusal):
    """The tenant has this policy already."""


class TooManyPolicies(Refusal):
    """A tenant may have at most 200 policies; remove one first."""


class AdministratorsLockedOut(Refusal):
    """Nobody could change policies any more: this must stay open to administrators."""


class ConditionNeverHolds(Refusal):
    """This condition can never hold for the objects of this permission, so the policy would never count."""


def add_policy(nothing: None, command: AddPolicy, now: datetime) -> tuple[Event, ...]:
    if command.present >= LIMIT:
        raise TooManyPolicies
    if command.rule.condition not in PERMISSIONS[command.rule.permission]:
        raise ConditionNeverHolds
    if _locks_out(command.rule):
        raise AdministratorsLockedOut
    rule = command.rule
    return (
        PolicyAdded(
            policy_id=command.policy_id,
            role=rule.role,
            permission=rule.permission,
            condition=rule.condition,
            effect=rule.effect,
        ),
    )


def remove_policy(policy: TenantPolicy, command: RemovePolicy, now: datetime) -> tuple[Event, ...]:
    return () if policy.removed else (PolicyRemoved(policy_id=command.policy_id),)


def evolve(policy: TenantPolicy | None, event: Event) -> TenantPolicy:
    """The policy after one more event of its stream."""
    match policy, event:
        case None, PolicyAdded():
            return TenantPolicy(_rule(event))
        case TenantPolicy(), PolicyRemoved():
            return replace(policy, removed=True)
    raise ImpossibleHistory


def _locks_out(rule: Rule) -> bool:
    """Whatever the role: administrators are members too, may hold any other role, and a denial of one is enough."""
    return rule.effect == "deny" and rule.permission in KEPT_OPEN


def _rule(event: PolicyAdded) -> Rule:
    """As it was added, even where such a rule would be refused today."""
    return Rule.model_construct(**{name: getattr(event, name) for name in Rule.model_fields})
