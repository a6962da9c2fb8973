"""May this caller do this to that object? Decided by Casbin over immutable rule sets; when in doubt, no.

A decision is a pure function of tenant, roles, permission and which of the conditions hold. So the conditions are
evaluated first (they are cheap Python) and Casbin's answer is remembered by exactly those inputs: no attribute of an
object, no time and no session can be forgotten in the key.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from shared_kernel.auth.conditions import CONDITIONS, FALSE, Columns, ObjectAttributes, any_of
from shared_kernel.auth.principal import Principal
from shared_kernel.auth.ruleset import Request, Ruleset, UnusablePolicy
from shared_kernel.errors import Forbidden
from shared_kernel.feature import Permission, Policy

__all__ = ["Columns", "Decision", "ObjectAttributes", "PolicyEngine", "UnusablePolicy"]


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, the rule that gave it ("default" when none matched, "error" when deciding failed) and its version."""

    allowed: bool
    rule: str
    policy_version: str


class PolicyEngine:
    """Rules for every tenant, and further ones for single tenants; deny overrides, and any exception is a deny.

    Rule sets are immutable: a change builds a new one aside and puts it in place with one assignment, so a decision
    in another thread sees the old rules or the new ones, never half of each. Raises UnusablePolicy.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._shared = tuple(policies)
        self._default = Ruleset(self._shared)
        self._tenants: Mapping[str, Ruleset] = {}
        self._log = structlog.get_logger("authorization")

    def replace(self, tenant: str, policies: Iterable[Policy]) -> str:
        """Give one tenant these rules beside the shared ones, in place of those it had; answers the policy version.

        Raises UnusablePolicy, and then nothing has changed.
        """
        ruleset = Ruleset((*self._shared, *policies))
        self._tenants = {**self._tenants, tenant: ruleset}
        return ruleset.version

    def close(self, tenant: str) -> None:
        """Deny everything in one tenant, until it is given rules again."""
        self._tenants = {**self._tenants, tenant: Ruleset(())}

    def decide(self, principal: Principal, permission: Permission, obj: ObjectAttributes) -> Decision:
        """Whether the caller may do this to this object; logged with version and rule."""
        ruleset = self._ruleset(principal.tenant)
        try:
            truths = ruleset.truths(principal, permission, obj)
            same_tenant = bool(principal.tenant) and obj.tenant == principal.tenant
            request = Request(principal.roles, permission, obj.kind, same_tenant, truths)
            allowed, rule = ruleset.answer(request)
        except Exception as error:  # noqa: BLE001 - whatever fails while deciding, the answer is no
            allowed, rule = False, "error"
            self._log.error("authorization failed", permission=str(permission), error=type(error).__name__)
        return self._logged(principal, permission, Decision(allowed, rule, ruleset.version))

    def require(self, principal: Principal, permission: Permission, obj: ObjectAttributes) -> Decision:
        """The same, for code that goes on only when allowed. Raises Forbidden."""
        decision = self.decide(principal, permission, obj)
        if not decision.allowed:
            raise Forbidden
        return decision

    def admit(self, principal: Principal, permission: Permission) -> None:
        """Raises Forbidden unless the caller's roles allow this for at least some object: the check at a route's door.

        It decides nothing about an object; ask `require` or filter by `sql_filter` once the object is known.
        """
        ruleset = self._ruleset(principal.tenant)
        if not principal.tenant or not ruleset.admits(principal.roles, permission):
            self._logged(principal, permission, Decision(allowed=False, rule="default", policy_version=ruleset.version))
            raise Forbidden

    def sql_filter(
        self, principal: Principal, permission: Permission, columns: Columns | None = None
    ) -> tuple[str, dict[str, Any]]:
        """A condition for WHERE that lets exactly those rows through which `decide` allows, with its parameters.

        The expression stands in parentheses; its placeholders are named (`%(auth_tenant)s`, `%(auth_user)s`), so the
        whole statement must use named ones. Only for WHERE: a row that is not allowed may give NULL instead of false.
        """
        columns = columns or Columns()
        ruleset = self._ruleset(principal.tenant)
        allows, denies = ruleset.conditions(principal.roles, permission)
        allowed = any_of(CONDITIONS[name].sql(columns) for name in allows) if principal.tenant else FALSE
        denied = any_of(CONDITIONS[name].sql(columns) for name in denies)
        self._logged(principal, permission, Decision(bool(allows), "filter", ruleset.version))
        where = f"({columns.tenant} = %(auth_tenant)s AND {allowed} AND {denied} IS NOT TRUE)"
        return where, {"auth_tenant": principal.tenant, "auth_user": principal.user_id}

    def version(self, tenant: str) -> str:
        """Identifies the rules in force for a tenant; equal rules have equal versions in every process."""
        return self._ruleset(tenant).version

    def _ruleset(self, tenant: str) -> Ruleset:
        return self._tenants.get(tenant, self._default)

    def _logged(self, principal: Principal, permission: Permission, decision: Decision) -> Decision:
        self._log.info(
            "authorization decision",
            actor=principal.actor,
            tenant=principal.tenant,
            permission=str(permission),
            allowed=decision.allowed,
            rule=decision.rule,
            policy_version=decision.policy_version,
        )
        return decision
