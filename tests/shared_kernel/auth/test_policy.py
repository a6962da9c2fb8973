"""Decisions: no by default, deny overrides, whatever fails is a no, and every decision leaves a line."""

import threading
from collections.abc import Iterator, MutableMapping
from importlib import metadata
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from shared_kernel.auth import policy as policy_module
from shared_kernel.auth import ruleset as ruleset_module
from shared_kernel.auth.conditions import CONDITIONS, Condition
from shared_kernel.auth.policy import Columns, ObjectAttributes, PolicyEngine, UnusablePolicy
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.ruleset import refuse_second_casbin
from shared_kernel.errors import Forbidden, StartupRefused
from shared_kernel.feature import Permission, Policy

READ = Permission("resources", "read")
CHANGE = Permission("resources", "change")
READ_USERS = Permission("users", "read")
ME = UUID(int=1)
DECISIONS = 10_000

POLICIES = (
    Policy("member", READ, "visible"),
    Policy("member", CHANGE, "own"),
    Policy("admin", READ),
    Policy("admin", CHANGE),
    Policy("*", CHANGE, "archived", effect="deny"),
)

Lines = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def engine() -> PolicyEngine:
    return PolicyEngine(POLICIES)


def caller(*roles: str, tenant: str = "acme") -> Principal:
    return Principal(ME, tenant, UUID(int=9), roles, "pwd", 1)


def resource(**attributes: Any) -> ObjectAttributes:
    return ObjectAttributes(**{"kind": "resources", "tenant": "acme", **attributes})


def test_nothing_is_allowed_without_a_rule() -> None:
    decision = PolicyEngine(()).decide(caller("admin"), READ, resource())
    assert (decision.allowed, decision.rule) == (False, "default")


def test_role_is_needed(engine: PolicyEngine) -> None:
    for roles in ((), ("stranger",), ("Admin",), ("admin ",), ("*",)):
        assert not engine.decide(caller(*roles), READ, resource()).allowed
    assert engine.decide(caller("admin"), READ, resource()).allowed


def test_one_of_several_roles_suffices(engine: PolicyEngine) -> None:
    assert engine.decide(caller("stranger", "admin"), READ, resource(classification="restricted")).allowed


def test_condition_decides_about_the_object(engine: PolicyEngine) -> None:
    member = caller("member")
    assert engine.decide(member, READ, resource(classification="internal")).allowed
    assert not engine.decide(member, READ, resource(classification="restricted")).allowed
    assert engine.decide(member, READ, resource(classification="restricted", owner=ME)).allowed
    assert engine.decide(member, READ, resource(classification="restricted", granted=frozenset({"read"}))).allowed
    assert not engine.decide(member, CHANGE, resource(granted=frozenset({"write"}))).allowed
    assert engine.decide(member, CHANGE, resource(owner=ME)).allowed


def test_deny_overrides_every_allow(engine: PolicyEngine) -> None:
    decision = engine.decide(caller("admin"), CHANGE, resource(state="archived"))
    assert not decision.allowed
    assert decision.rule == "*, *, resources, change, archived, deny"
    assert engine.decide(caller("admin"), CHANGE, resource(state="active")).allowed


@pytest.mark.asvs("V8.4.1")
def test_other_tenant_s_object_is_refused_to_everybody(engine: PolicyEngine) -> None:
    for tenant in ("other", "", "ACME", "*"):
        assert not engine.decide(caller("admin"), READ, resource(tenant=tenant)).allowed


def test_caller_without_a_tenant_is_refused(engine: PolicyEngine) -> None:
    nobody = caller("admin", tenant="")
    assert not engine.decide(nobody, READ, resource(tenant="")).allowed
    assert engine.sql_filter(nobody, READ)[0] == "(tenant = %(auth_tenant)s AND false AND (false) IS NOT TRUE)"
    with pytest.raises(Forbidden):
        engine.admit(nobody, READ)


def test_right_on_one_kind_of_object_is_none_on_another(engine: PolicyEngine) -> None:
    assert not engine.decide(caller("admin"), READ, resource(kind="users")).allowed
    assert not engine.decide(caller("admin"), READ_USERS, resource(kind="users")).allowed
    assert not engine.decide(caller("admin"), READ_USERS, resource()).allowed
    both = PolicyEngine([Policy("admin", READ), Policy("admin", READ_USERS)])
    assert not both.decide(caller("admin"), READ, resource(kind="users")).allowed, "whoever may read both as well"


def test_require_raises_forbidden_and_tells_no_rule(engine: PolicyEngine) -> None:
    assert engine.require(caller("admin"), READ, resource()).allowed
    with pytest.raises(Forbidden) as refused:
        engine.require(caller("member"), READ, resource(classification="restricted"))
    assert str(refused.value) == str(Forbidden())


def test_door_opens_for_roles_that_may_do_it_to_some_object(engine: PolicyEngine) -> None:
    engine.admit(caller("member"), CHANGE)
    for roles in ((), ("stranger",)):
        with pytest.raises(Forbidden):
            engine.admit(caller(*roles), CHANGE)


def test_door_stays_shut_where_everything_is_denied() -> None:
    engine = PolicyEngine((*POLICIES, Policy("suspended", READ, effect="deny")))
    with pytest.raises(Forbidden):
        engine.admit(caller("admin", "suspended"), READ)
    engine.admit(caller("admin", "suspended"), CHANGE)


def broken(*_: object) -> bool:
    raise RuntimeError("attribute missing")


@pytest.fixture
def broken_condition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        ruleset_module,
        "CONDITIONS",
        MappingProxyType({**CONDITIONS, "own": Condition(broken, CONDITIONS["own"].sql)}),
    )


@pytest.mark.asvs("V16.5.3")
def test_exception_in_a_condition_is_a_deny_and_is_not_remembered(
    engine: PolicyEngine, broken_condition: None, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    decision = engine.decide(caller("member"), CHANGE, resource(owner=ME))
    assert (decision.allowed, decision.rule) == (False, "error")
    assert lines[0] == {
        "event": "authorization failed",
        "log_level": "error",
        "permission": "resources:change",
        "error": "RuntimeError",
    }
    monkeypatch.setattr(ruleset_module, "CONDITIONS", CONDITIONS)
    assert engine.decide(caller("member"), CHANGE, resource(owner=ME)).allowed


@pytest.mark.asvs("V16.5.3")
def test_exception_in_casbin_is_a_deny(engine: PolicyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine._default._enforcer, "enforce_ex", broken)
    assert engine.decide(caller("admin"), READ, resource()).rule == "error"


@pytest.mark.asvs("V1.3.2")
@pytest.mark.parametrize(
    "policy",
    [
        Policy("member", READ, "sometimes"),
        Policy("member", READ, ""),
        Policy("member", READ, effect="maybe"),
        Policy("member", READ, effect=""),
        Policy("", READ),
        Policy("member", Permission("", "read")),
        Policy("member", Permission("resources", "")),
    ],
)
def test_policy_that_could_mean_anything_is_refused(policy: Policy) -> None:
    with pytest.raises(UnusablePolicy):
        PolicyEngine((policy,))


def test_too_many_policies_are_refused() -> None:
    many = [Policy(f"role-{number}", READ) for number in range(1_001)]
    assert PolicyEngine(many[1:]).decide(caller("role-1000"), READ, resource()).allowed
    with pytest.raises(UnusablePolicy, match="at most 1000"):
        PolicyEngine(many)


def test_tenant_s_own_policies_hold_for_it_alone(engine: PolicyEngine) -> None:
    engine.replace("acme", [Policy("guest", READ, "open"), Policy("admin", READ, "restricted", effect="deny")])
    public = resource(classification="public")
    assert engine.decide(caller("guest"), READ, public).allowed
    assert not engine.decide(caller("admin"), READ, resource(classification="restricted")).allowed
    elsewhere = caller("guest", tenant="other")
    assert not engine.decide(elsewhere, READ, ObjectAttributes("resources", "other", classification="public")).allowed


def test_replaced_policies_are_gone(engine: PolicyEngine) -> None:
    engine.replace("acme", [Policy("guest", READ)])
    engine.replace("acme", [])
    assert not engine.decide(caller("guest"), READ, resource()).allowed
    assert engine.version("acme") == engine.version("other")


def test_refused_replacement_changes_nothing(engine: PolicyEngine) -> None:
    before = engine.version("acme")
    with pytest.raises(UnusablePolicy):
        engine.replace("acme", [Policy("guest", READ, "sometimes")])
    assert engine.version("acme") == before


def test_version_names_the_rules_not_their_order() -> None:
    assert PolicyEngine(POLICIES).version("acme") == PolicyEngine(POLICIES[::-1] + POLICIES[:1]).version("acme")
    assert PolicyEngine(POLICIES).version("acme") != PolicyEngine(POLICIES[1:]).version("acme")


def test_decisions_during_replacement_are_by_the_old_rules_or_the_new_ones(engine: PolicyEngine) -> None:
    suspended = caller("admin", "suspended")
    block = Policy("suspended", READ, effect="deny")
    engine.replace("acme", [block])
    done = threading.Event()

    def keep_replacing() -> None:
        for number in range(300):
            engine.replace("acme", [block, Policy(f"role-{number}", READ)])
        done.set()

    replacing = threading.Thread(target=keep_replacing)
    replacing.start()
    wrong = decisions = 0
    while decisions < DECISIONS or not done.is_set():
        wrong += engine.decide(suspended, READ, resource()).allowed
        decisions += 1
    replacing.join()
    assert wrong == 0


def test_answers_are_remembered_without_attributes_and_bounded(
    engine: PolicyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for owner in range(2, 60):
        engine.decide(caller("member"), READ, resource(owner=UUID(int=owner), classification="public"))
    assert len(engine._default._answers) == 1
    monkeypatch.setattr(ruleset_module, "MAX_REMEMBERED", 4)
    for number in range(50):
        engine.decide(caller(f"role-{number}"), READ, resource())
    assert len(engine._default._answers) <= 4
    assert len(engine._default._relevant) <= 4


def test_filter_of_a_kind_without_attributes_names_only_the_tenant() -> None:
    where, params = PolicyEngine([Policy("admin", READ_USERS), Policy("member", READ_USERS, "own")]).sql_filter(
        caller("admin", "member"), READ_USERS, Columns(tenant="u.tenant")
    )
    assert where == "(u.tenant = %(auth_tenant)s AND (true) AND (false) IS NOT TRUE)"
    assert params == {"auth_tenant": "acme", "auth_user": ME}


def test_only_one_distribution_provides_casbin() -> None:
    names = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    assert "pycasbin" in names
    assert "casbin" not in names


def test_second_casbin_distribution_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: {"casbin": "1.43.0"}[name])
    with pytest.raises(StartupRefused, match=r"casbin 1\.43\.0"):
        refuse_second_casbin()
    with pytest.raises(StartupRefused):
        policy_module.PolicyEngine(POLICIES)
