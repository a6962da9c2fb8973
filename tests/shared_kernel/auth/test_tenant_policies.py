"""What a process knows of tenants' policies: in whatever order it hears, and never less strict than it was told."""

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from shared_kernel.auth.policy import ObjectAttributes, PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.ruleset import UnusablePolicy
from shared_kernel.auth.tenant_policies import PolicyNews, TenantPolicies, news_of, policy_of
from shared_kernel.events.policies import PolicyAdded, PolicyRemoved
from shared_kernel.events.resources import ResourceArchived
from shared_kernel.feature import Permission, Policy
from tests.support.stories import TENANT, recorded

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
    assert (allowed(engine), known.count("default"), known.position) == (True, 0, 0)
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


def test_what_is_put_in_force_is_logged_with_how_many_and_which_version(
    engine: PolicyEngine, known: TenantPolicies
) -> None:
    with capture_logs() as lines:
        known.learn([news(5, A, DENY), news(6, B, policy_of("member", "resources:read", "own", "allow"))])
    assert lines == [
        {
            "event": "policies in force",
            "log_level": "info",
            "tenant": "default",
            "own": 2,
            "policy_version": engine.version("default"),
        }
    ]


def test_policies_that_cannot_be_used_are_an_error_in_the_log_that_names_tenant_and_reason(
    known: TenantPolicies,
) -> None:
    with capture_logs() as lines:
        known.learn([news(5, A, policy_of("member", "resources:read", "on-tuesdays", "deny"))])
    assert lines == [
        {
            "event": "policies cannot be used: everything is denied",
            "log_level": "error",
            "tenant": "default",
            "reason": "the condition 'on-tuesdays' is not in the registry",
        }
    ]


def test_news_that_were_heard_before_put_nothing_in_force_again(known: TenantPolicies) -> None:
    known.learn([news(5, A, DENY), news(5, B, DENY, tenant="acme")])
    with capture_logs() as lines:
        known.learn([news(5, A, DENY)])
        known.learn([news(4, A, None)])
        known.learn([])
    assert lines == []


def test_only_the_tenant_that_has_news_gets_new_rules(known: TenantPolicies) -> None:
    known.learn([news(5, A, DENY), news(5, B, DENY, tenant="acme")])
    with capture_logs() as lines:
        known.learn([news(6, A, None)])
    assert [line["tenant"] for line in lines] == ["default"]


def test_event_tells_what_was_added_and_where() -> None:
    added = PolicyAdded(policy_id=A, role="member", permission="resources:read", condition="own", effect="deny")
    assert news_of(recorded(added, position=7)) == PolicyNews(7, TENANT, A, Policy("member", READ, "own", "deny"))
    assert news_of(recorded(PolicyRemoved(policy_id=A), position=8)) == PolicyNews(8, TENANT, A, None)


def test_permission_is_cut_at_its_first_colon() -> None:
    assert policy_of("member", "resources:read:all", "any", "allow").permission == Permission("resources", "read:all")


def test_foreign_events_tell_nothing() -> None:
    with pytest.raises(UnusablePolicy, match="tells nothing about a policy"):
        news_of(recorded(ResourceArchived(resource_id=A), position=1, stream=f"policies-{A}"))
