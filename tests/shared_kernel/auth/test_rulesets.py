"""A tenant's own rules at every place where rules are asked, what is remembered of them, and why one is refused."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from shared_kernel.auth import ruleset as ruleset_module
from shared_kernel.auth.policy import Columns, ObjectAttributes, PolicyEngine, UnusablePolicy
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import Forbidden
from shared_kernel.feature import Permission, Policy

READ = Permission("resources", "read")
CHANGE = Permission("resources", "change")
ME = UUID(int=1)
POLICIES = (Policy("member", READ, "open"), Policy("member", CHANGE, "own"), Policy("*", CHANGE, "archived", "deny"))
PUBLIC = ObjectAttributes("resources", "acme", classification="public")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with capture_logs():
        yield


@pytest.fixture
def engine() -> PolicyEngine:
    return PolicyEngine(POLICIES)


def caller(*roles: str, tenant: str = "acme") -> Principal:
    return Principal(ME, tenant, UUID(int=9), roles, "pwd", 1)


def broken(*_: object) -> None:
    raise RuntimeError("asked again")


def test_tenant_s_own_rules_hold_at_its_door_and_in_its_lists(engine: PolicyEngine) -> None:
    version = engine.replace("acme", [Policy("guest", READ, "open")])
    assert version == engine.version("acme") != engine.version("other")
    engine.admit(caller("guest"), READ)
    with pytest.raises(Forbidden):
        engine.admit(caller("guest", tenant="other"), READ)
    columns = Columns(classification="r.classification")
    assert "r.classification" in engine.sql_filter(caller("guest"), READ, columns)[0]
    assert "r.classification" not in engine.sql_filter(caller("guest", tenant="other"), READ, columns)[0]


def test_filter_leaves_out_what_is_denied(engine: PolicyEngine) -> None:
    where, _ = engine.sql_filter(caller("member"), CHANGE, Columns(owner="r.owner", state="r.state"))
    assert where == ("(tenant = %(auth_tenant)s AND (r.owner = %(auth_user)s) AND (r.state = 'archived') IS NOT TRUE)")


def test_version_is_the_same_in_every_process_and_release(engine: PolicyEngine) -> None:
    assert engine.version("acme") == "95a71300cf484170"


def test_casbin_is_asked_once_and_the_rules_are_searched_once(
    engine: PolicyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine.decide(caller("member"), READ, PUBLIC)
    assert first.allowed
    monkeypatch.setattr(engine._default._enforcer, "enforce_ex", broken)
    monkeypatch.setattr(engine._default, "_policies", ())
    assert engine.decide(caller("member"), READ, PUBLIC) == first


def test_memory_never_holds_more_than_it_may(engine: PolicyEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruleset_module, "MAX_REMEMBERED", 4)
    sizes = set()
    for number in range(12):
        engine.decide(caller(f"role-{number}"), READ, PUBLIC)
        sizes |= {len(engine._default._answers), len(engine._default._relevant)}
    assert sizes == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy("member", READ, effect="maybe"), "the effect 'maybe' is neither allow nor deny"),
        (Policy("member", READ, "sometimes"), "the condition 'sometimes' is not in the registry"),
        (Policy("", READ), "a policy needs a role and a permission `<kind>:<action>`"),
        (Policy("member", Permission("", "read")), "a policy needs a role and a permission `<kind>:<action>`"),
    ],
)
def test_rule_is_refused_for_the_reason_that_is_wrong_with_it(policy: Policy, why: str) -> None:
    with pytest.raises(UnusablePolicy) as refused:
        PolicyEngine([policy])
    assert str(refused.value) == why
