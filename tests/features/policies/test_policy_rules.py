"""The rules of a tenant's policies, told as given / when / then, and the words that they may use."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from typing import get_args
from uuid import UUID

import pytest
from pydantic import ValidationError

from command_service.features import FEATURES as COMMAND_FEATURES
from command_service.features.policies.commands import AddPolicy, RemovePolicy, Rule
from command_service.features.policies.domain import (
    KEPT_OPEN,
    LIMIT,
    AdministratorsLockedOut,
    ConditionNeverHolds,
    TooManyPolicies,
    add_policy,
    evolve,
    remove_policy,
)
from command_service.features.policies.permissions import REMOVE
from command_service.features.resources.permissions import CREATE
from query_service.features import FEATURES as QUERY_FEATURES
from query_service.features.accounts.permissions import COLUMNS as OF_ACCOUNTS
from query_service.features.audit.permissions import COLUMNS as OF_EVENTS
from query_service.features.resources.permissions import COLUMNS as OF_RESOURCES
from shared_kernel.auth.conditions import CONDITIONS, FALSE, ObjectAttributes
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.tenant_policies import policy_of
from shared_kernel.errors import ImpossibleHistory
from shared_kernel.events.policies import PERMISSIONS, PolicyAdded, PolicyRemoved
from tests.support.given import given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID("0192f000-0000-7000-8000-000000000001")
RULE = Rule(role="auditor", permission="resources:read", condition="restricted", effect="deny")
ADDED = PolicyAdded(policy_id=ID, role="auditor", permission="resources:read", condition="restricted", effect="deny")
REMOVED = PolicyRemoved(policy_id=ID)


def test_policy_is_added() -> None:
    given().when(add_policy, AddPolicy(ID, RULE)).then(ADDED)


def test_policy_is_removed_once() -> None:
    given(ADDED).by(evolve).when(remove_policy, RemovePolicy(ID)).then(REMOVED)
    given(ADDED, REMOVED).by(evolve).when(remove_policy, RemovePolicy(ID)).then_nothing()


def test_tenant_has_a_bounded_number_of_policies() -> None:
    given().when(add_policy, AddPolicy(ID, RULE, present=LIMIT - 1)).then(ADDED)
    given().when(add_policy, AddPolicy(ID, RULE, present=LIMIT)).then_refused(TooManyPolicies)


def test_every_rule_that_there_can_be_is_usable_at_once_and_can_be_taken_back() -> None:
    """The number of policies is what one process has heard of; the log itself only keeps each rule from standing twice.

    More rules than a process can use would close the tenant, and nobody could remove one.
    """
    shipped = [policy for feature in (*COMMAND_FEATURES, *QUERY_FEATURES) for policy in feature.policies]
    engine = PolicyEngine(shipped)
    engine.replace("acme", [policy_of(rule.role, rule.permission, rule.condition, rule.effect) for rule in possible()])
    everything = Principal(ID, "acme", ID, ("member", "admin", "operator", "auditor"), "aal2", 0)
    assert engine.decide(everything, REMOVE, ObjectAttributes(REMOVE.kind, "acme")).allowed
    assert not engine.decide(everything, CREATE, ObjectAttributes(CREATE.kind, "acme")).allowed


def possible() -> Iterator[Rule]:
    """All rules that may be added."""
    roles, effects = (get_args(Rule.model_fields[name].annotation) for name in ("role", "effect"))
    for role, effect, (permission, conditions) in product(roles, effects, PERMISSIONS.items()):
        for condition in conditions:
            rule = Rule(role=role, permission=permission, condition=condition, effect=effect)
            with suppress(AdministratorsLockedOut):
                add_policy(None, AddPolicy(ID, rule), NOW)
                yield rule


def test_condition_that_means_nothing_for_a_permission_is_refused() -> None:
    rule = RULE.model_copy(update={"permission": "resources:create"})
    given().when(add_policy, AddPolicy(ID, rule)).then_refused(ConditionNeverHolds)


@pytest.mark.parametrize("role", ["admin", "operator", "auditor", "member", "*"])
@pytest.mark.parametrize("permission", sorted(KEPT_OPEN))
def test_administrators_can_always_take_a_policy_back(role: str, permission: str) -> None:
    """Whatever else they hold: every administrator is a member too, and a denial of any role wins over every allow."""
    deny = Rule.model_validate({"role": role, "permission": permission, "effect": "deny"})
    given().when(add_policy, AddPolicy(ID, deny)).then_refused(AdministratorsLockedOut)
    allow = Rule.model_validate({"role": role, "permission": permission, "effect": "allow"})
    given().when(add_policy, AddPolicy(ID, allow)).then(PolicyAdded(policy_id=ID, **allow.model_dump()))


def test_strange_events_are_refused() -> None:
    with pytest.raises(ImpossibleHistory):
        evolve(None, REMOVED)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"role": "emperor"}, "role"),
        ({"permission": "resources:burn"}, "there is no such permission"),
        ({"condition": "on-tuesdays"}, "there is no such condition"),
        ({"effect": "perhaps"}, "effect"),
        ({"because": "I can"}, "because"),
    ],
)
def test_rule_that_names_nothing_is_refused(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Rule.model_validate({**RULE.model_dump(), **wrong})


def test_every_permission_of_both_services_can_be_named_and_no_other() -> None:
    features = (*COMMAND_FEATURES, *QUERY_FEATURES)
    assert set(PERMISSIONS) == {str(permission) for feature in features for permission in feature.permissions}
    for policy in (policy for feature in features for policy in feature.policies):
        if policy.role != "*":
            assert policy.condition in PERMISSIONS[str(policy.permission)], policy


def test_conditions_are_of_the_registry_and_filter_every_list() -> None:
    """A condition that a list cannot express would deny single objects and still show them in the list."""
    assert all("any" in conditions and conditions <= CONDITIONS.keys() for conditions in PERMISSIONS.values())
    for permission, columns in (
        ("accounts:read", OF_ACCOUNTS),
        ("audit:read", OF_EVENTS),
        ("resources:read", OF_RESOURCES),
    ):
        for condition in PERMISSIONS[permission]:
            assert CONDITIONS[condition].sql(columns) not in {FALSE, f"({FALSE})"}, (permission, condition)
