"""Whatever policy a tenant adds, both services decide by it as the oracle does: every permission, condition and effect.

The requests are those without policies, of whom a rule speaks and of others; it is nothing to the tenant next door.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from command_service.features.policies.commands import AddPolicy, Rule
from command_service.features.policies.domain import add_policy
from shared_kernel.auth.policy import PolicyEngine
from shared_kernel.auth.tenant_policies import policy_of
from shared_kernel.events.policies import PERMISSIONS
from tests.security import test_matrix_of_commands as commands
from tests.security import test_matrix_of_questions as questions
from tests.security.matrix import Ask, Case, Cast, Sheet, all_of
from tests.security.oracle import FIELDS, HOME, NEXT_DOOR, Added, Caller, Proof, Thing
from tests.security.records import Records, written
from tests.security.rights_of_routes import COMMANDS, QUESTIONS, ROUTES, Right, Route
from tests.security.town import Town, settled
from tests.support.command_side import CommandSide
from tests.support.query_side import QuerySide, quiet

FURTHER = {"accounts:read-suspension-reason": "GET /v1/users", "audit:read-personal": "GET /v1/events"}
"""Where permissions of single fields show."""
LEFT_OUT = {"public"}
"""What a condition tells apart from no other classification need not be asked about again."""


def rules(permission: str, held: Iterable[Right]) -> Iterator[Right]:
    """Every rule about a permission, for a role that it changes something for, and the broadest ones for all."""
    holders = [right.role for right in held if right.condition == "any"]
    without = next(role for role in ("operator", "member", "auditor") if role not in holders)
    deniable = permission not in {"policies:add", "policies:remove"}
    for condition in sorted(PERMISSIONS[permission]):
        yield Right(without, condition, "allow")
        if deniable:
            yield Right(holders[0] if holders else "member", condition, "deny")
    if deniable:
        yield Right("*", "any", "deny")
    yield Right("*", "any", "allow")


def callers(cast: Cast, rule: Right) -> Iterator[Caller]:
    """Of whom the rule speaks, whom it meets with rights of their own, and who is next door."""
    role = "auditor" if rule.role == "*" else rule.role
    for roles in ((role,), ("member", "admin"), ()):
        yield Caller("Ada", cast.ada, HOME, roles, cast.session, Proof.STEPPED_UP)
    yield Caller("Eve", cast.eve, NEXT_DOOR, (role,), cast.session, Proof.STEPPED_UP)
    yield Caller("Ada's double", cast.ada, NEXT_DOOR, (role, "admin"), cast.session, Proof.STEPPED_UP)


def worth_asking(things: Sequence[Thing | None]) -> Iterator[Thing | None]:
    return (thing for thing in things if thing is None or thing.classification not in LEFT_OUT)


def cases(routes: dict[str, Route]) -> Iterator[tuple[str, Right, tuple[str, ...]]]:
    """Each rule, with the routes at which it shows."""
    by_permission: dict[str, list[str]] = {}
    for name, route in routes.items():
        by_permission.setdefault(route.permission, []).append(name)
    for permission, names in by_permission.items():
        if permission:
            for rule in rules(permission, routes[names[0]].rights):
                yield permission, rule, tuple(names)


def put_in_force(engine: PolicyEngine, permission: str, rule: Right) -> Added:
    """Raises what a tenant that adds this rule would be refused with."""
    added = Rule.model_validate({**asdict(rule), "permission": permission})
    add_policy(None, AddPolicy(uuid4(), added), datetime.now(UTC))
    engine.replace(HOME, [policy_of(rule.role, permission, rule.condition, rule.effect)])
    return {(HOME, permission): (rule,)}


@pytest.mark.timeout(400)
@pytest.mark.asvs("V8.2.1", "V8.2.2", "V8.4.1")
async def test_commands_are_decided_by_whatever_policy_a_tenant_adds(command_side: CommandSide) -> None:
    sheet = Sheet()
    with quiet():
        town = await settled(command_side)
        before = await town.length()
        for permission, rule, names in cases(dict(COMMANDS)):
            added = put_in_force(town.side.services.gate._policies, permission, rule)
            await all_of(commanded(town, sheet, names, rule, added))
        written_since = await town.length() - before
    sheet.require_agreement()
    assert written_since == 0


def commanded(town: Town, sheet: Sheet, names: Iterable[str], rule: Right, added: Added) -> Iterator[Ask]:
    for name in names:
        for caller in callers(town.cast, rule):
            for thing in worth_asking(town.about(name, caller)):
                yield partial(commands.ask, town, sheet, Case(name, caller, thing, added))


@pytest.mark.timeout(400)
@pytest.mark.asvs("V8.2.1", "V8.2.2", "V8.2.3", "V8.4.1")
async def test_questions_are_decided_by_whatever_policy_a_tenant_adds(query_side: QuerySide) -> None:
    sheet = Sheet()
    records = await written(query_side)
    fields = {where: Route(name, FIELDS[name]) for name, where in FURTHER.items()}
    for permission, rule, names in (*cases(dict(QUESTIONS)), *cases(fields)):
        added = put_in_force(records.side.services.policies, permission, rule)
        await all_of(questioned(records, sheet, names, rule, added))
    sheet.require_agreement()


def questioned(records: Records, sheet: Sheet, names: Iterable[str], rule: Right, added: Added) -> Iterator[Ask]:
    for name in names:
        for caller in callers(records.cast, rule):
            for thing in worth_asking(records.about(name, caller)):
                yield partial(questions.ask, records, sheet, Case(name, caller, thing, added))


def test_every_permission_that_a_policy_can_name_is_asked_about() -> None:
    assert PERMISSIONS.keys() == {route.permission for route in ROUTES.values() if route.permission} | FURTHER.keys()
