"""One immutable set of policy rules as a Casbin enforcer, with its answers remembered."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NamedTuple

import casbin
from casbin.util.log import disabled_logging

from shared_kernel.auth.conditions import CONDITIONS, ObjectAttributes
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import StartupRefused
from shared_kernel.feature import Permission, Policy

EVERY_ROLE = "*"
MAX_RULES = 1_000
MAX_REMEMBERED = 16_384

MODEL = """
[request_definition]
r = sub, ten, obj, act, env

[policy_definition]
p = sub, ten, obj, act, cond, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = r.act == p.act && r.obj.kind == p.obj && (p.ten == r.ten || p.ten == "*") && r.obj.tenant == r.ten \
&& (p.sub == "*" || holds(r.sub, p.sub)) && cond(p.cond, r.env)
"""
# Roles are asked of the caller (`holds`), not of Casbin's role manager: they come from a verified token, and the
# role manager is what a reload empties while others are deciding.


class UnusablePolicy(ValueError):
    """A policy names no role, an unknown condition or an effect other than allow and deny."""


class Request(NamedTuple):
    """Everything a decision depends on; `truths` are the names of the conditions that hold."""

    roles: tuple[str, ...]
    permission: Permission
    kind: str
    same_tenant: bool
    truths: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Object:
    """The object as Casbin sees it."""

    kind: str
    tenant: str


class Ruleset:
    """Rules that never change after construction. Raises UnusablePolicy, StartupRefused."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        refuse_second_casbin()
        self._policies = tuple(dict.fromkeys(policies))
        if len(self._policies) > MAX_RULES:
            raise UnusablePolicy(f"a tenant may have at most {MAX_RULES} policies")
        rules = [_rule(policy) for policy in self._policies]
        self.version = hashlib.sha256("\n".join(map(repr, sorted(rules))).encode()).hexdigest()[:16]
        self._enforcer = _enforcer(rules)
        self._relevant: dict[tuple[tuple[str, ...], Permission], tuple[Policy, ...]] = {}
        self._answers: dict[Request, tuple[bool, str]] = {}

    def truths(self, principal: Principal, permission: Permission, obj: ObjectAttributes) -> frozenset[str]:
        """Names of the conditions that hold, among those that a rule for these roles and this permission asks."""
        return frozenset(
            policy.condition
            for policy in self.relevant(principal.roles, permission)
            if CONDITIONS[policy.condition].holds(principal, obj)
        )

    def answer(self, request: Request) -> tuple[bool, str]:
        """Casbin's answer and the rule behind it, asked at most once for each request."""
        if (known := self._answers.get(request)) is not None:
            return known
        obj = _Object(request.kind, "same" if request.same_tenant else "other")
        act = request.permission.action if request.permission.kind == request.kind else ""
        allowed, rule = self._enforcer.enforce_ex(request.roles, "same", obj, act, request.truths)
        answer = (allowed is True, ", ".join(rule) if rule else "default")
        _remember(self._answers, request, answer)
        return answer

    def admits(self, roles: tuple[str, ...], permission: Permission) -> bool:
        """Whether these roles are allowed this for some object and not denied it for every one."""
        allows, denies = self.conditions(roles, permission)
        return bool(allows) and "any" not in denies

    def conditions(self, roles: tuple[str, ...], permission: Permission) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the conditions under which these roles are allowed, and under which they are denied."""
        relevant = self.relevant(roles, permission)
        return (
            tuple(dict.fromkeys(policy.condition for policy in relevant if policy.effect == "allow")),
            tuple(dict.fromkeys(policy.condition for policy in relevant if policy.effect == "deny")),
        )

    def relevant(self, roles: tuple[str, ...], permission: Permission) -> tuple[Policy, ...]:
        """The rules that speak of this permission and of one of these roles."""
        known = self._relevant.get((roles, permission))
        if known is None:
            known = tuple(
                policy
                for policy in self._policies
                if policy.permission == permission and (policy.role == EVERY_ROLE or policy.role in roles)
            )
            _remember(self._relevant, (roles, permission), known)
        return known


def refuse_second_casbin() -> None:
    """Raises StartupRefused when the frozen distribution `casbin` lies over `pycasbin`: one folder, two owners."""
    try:
        found = metadata.version("casbin")
    except metadata.PackageNotFoundError:
        return
    raise StartupRefused(f"The distribution casbin {found} overwrites pycasbin; uninstall both, then install pycasbin.")


def _rule(policy: Policy) -> list[str]:
    if policy.effect not in {"allow", "deny"}:
        raise UnusablePolicy(f"the effect {policy.effect!r} is neither allow nor deny")
    if policy.condition not in CONDITIONS:
        raise UnusablePolicy(f"the condition {policy.condition!r} is not in the registry")
    if not policy.role or not policy.permission.kind or not policy.permission.action:
        raise UnusablePolicy("a policy needs a role and a permission `<kind>:<action>`")
    return [policy.role, "*", policy.permission.kind, policy.permission.action, policy.condition, policy.effect]


def _enforcer(rules: list[list[str]]) -> Any:
    disabled_logging()  # before the first object: Casbin's own lines print the attributes of a request
    enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=MODEL))
    enforcer.add_function("holds", lambda roles, role: role in roles)
    enforcer.add_function("cond", lambda name, truths: name in truths)
    for rule in rules:
        enforcer.get_model().add_policy("p", "p", rule)
    return enforcer


def _remember(cache: dict[Any, Any], key: Any, value: Any) -> None:
    if len(cache) >= MAX_REMEMBERED:
        cache.clear()  # cheaper than order, and only odd callers ever fill it
    cache[key] = value
