"""What a process knows of tenants' policies: in whatever order it hears, and never less strict than it was told."""

from uuid import UUID

import pytest

from shared_kernel.auth.policy import ObjectAttributes, PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.ruleset import UnusablePolicy
from shared_kernel.auth.tenant_policies import PolicyNews, TenantPolicies, news_of, policy_of
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.feature import Permission, Policy
from tests.support.stories import recorded

READ = Permission("resources", "read")
ADA = Principal(UUID(int=1), "default", UUID(int=2), ("member",), "pwd", 1)
THING = ObjectAttributes("resources", "default")
A, B = UUID(int=11), UUID(int=12)
DENY = policy_of("member", "resources:read", "any", "deny")


@pytest.fixture
def engine() -> PolicyEngine:
    return PolicyEngine([Policy("member", READ)])


@pytest.fixture
def known(engine: PolicyEngine) -> TenantPolicies:
    return TenantPolicies(engine)


def allowed(engine: PolicyEngine, tenant: str = "default") -> bool:
    return engine.decide(ADA, READ, THING).allowed if tenant == "default" else False


def news(position: int, policy_id: UUID, policy: Policy | None, tenant: str = "default") -> PolicyNews:
    return PolicyNews(position, tenant, policy_id, policy)


def test_learnt_policy_is_in_force_until_it_is_removed(engine: PolicyEngine, known: TenantPolicies) -> None:
    assert allowed(engine)
    known.learn([news(5, A, DENY)])
    assert (allowed(engine), known.count("default"), known.position) == (False, 1, 5)
    known.learn([news(6, A, None)])
    assert (allowed(engine), known.count("default"), known.position) == (True, 0, 6)


def test_news_may_come_late_but_old_news_changes_nothing(engine: PolicyEngine, known: TenantPolicies) -> None:
    known.learn([news(9, B, policy_of("member", "resources:read", "own", "allow"))])
    known.learn([news(5, A, DENY)])
    assert not allowed(engine), "103 was heard of after 105"
    known.learn([news(8, A, None)])
    known.learn([news(5, A, DENY)])
    assert allowed(engine), "an addition that was removed since"


def test_other_tenants_are_left_alone(engine: PolicyEngine, known: TenantPolicies) -> None:
    known.learn([news(5, A, DENY, tenant="acme")])
    assert allowed(engine)


def test_what_a_restored_log_does_not_have_counts_no_more(engine: PolicyEngine, known: TenantPolicies) -> None:
    known.learn([news(5, A, DENY)])
    known.learn([], anew=True)
    assert (allowed(engine), known.position) == (True, 0)


@pytest.mark.parametrize(
    "unusable",
    [
        policy_of("member", "resources:read", "on-tuesdays", "deny"),
        policy_of("member", "resources", "any", "deny"),
        policy_of("member", "resources:read", "any", "perhaps"),
    ],
    ids=["condition", "permission", "effect"],
)
def test_policies_that_cannot_be_used_deny_everything(
    engine: PolicyEngine, known: TenantPolicies, unusable: Policy
) -> None:
    known.learn([news(5, A, unusable)])
    assert not allowed(engine)
    known.learn([news(6, A, None)])
    assert allowed(engine)


def test_foreign_events_tell_nothing() -> None:
    with pytest.raises(UnusablePolicy, match="tells nothing about a policy"):
        news_of(recorded(ResourceArchived(resource_id=A), position=1, stream=f"policies-{A}"))
