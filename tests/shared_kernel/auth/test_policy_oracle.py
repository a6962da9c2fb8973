"""Decisions against an oracle written without Casbin, and SQL filters against decisions, row by row on PostgreSQL."""

from collections.abc import Sequence
from itertools import product
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared_kernel.auth.conditions import CONDITIONS
from shared_kernel.auth.policy import Columns, ObjectAttributes, PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.feature import Permission, Policy

ME, OTHER = UUID(int=1), UUID(int=2)
TENANTS = ("acme", "other")
ROLES = ("member", "auditor", "admin")
PERMISSIONS = tuple(Permission(kind, action) for kind in ("resources", "users") for action in ("read", "change"))
GRANTS: tuple[list[str] | None, ...] = (None, [], ["read"], ["write"], ["write", "read"], ["share"])

EVERY_OBJECT = tuple(
    product(
        TENANTS,
        (None, ME, OTHER),
        (None, "active", "archived"),
        (None, "public", "internal", "confidential", "restricted"),
        GRANTS,
    )
)
"""All 540 combinations of what a condition may read."""

policies = st.lists(
    st.builds(
        Policy,
        role=st.sampled_from((*ROLES, "*")),
        permission=st.sampled_from(PERMISSIONS),
        condition=st.sampled_from(sorted(CONDITIONS)),
        effect=st.sampled_from(("allow", "allow", "allow", "deny")),
    ),
    max_size=8,
)
callers = st.builds(
    lambda roles, tenant: Principal(ME, tenant, UUID(int=9), tuple(roles), "pwd", 1),
    st.lists(st.sampled_from((*ROLES, "stranger")), unique=True, max_size=3),
    st.sampled_from(TENANTS),
)


def attributes(row: tuple[Any, ...], kind: str) -> ObjectAttributes:
    tenant, owner, state, classification, granted = row
    return ObjectAttributes(kind, tenant, owner, state, classification, frozenset(granted or ()))


def holds(condition: str, who: Principal, obj: ObjectAttributes) -> bool:
    """The conditions once more, written from their description."""
    own = obj.owner is not None and obj.owner == who.user_id
    open_to_all = obj.classification in ("public", "internal")
    return {
        "any": True,
        "own": own,
        "open": open_to_all,
        "restricted": obj.classification == "restricted",
        "archived": obj.state == "archived",
        "readable": "read" in obj.granted,
        "writable": "write" in obj.granted,
        "visible": open_to_all or own or bool({"read", "write"} & obj.granted),
        "editable": own or "write" in obj.granted,
    }[condition]


def oracle(rules: Sequence[Policy], who: Principal, permission: Permission, obj: ObjectAttributes) -> bool:
    effects = {
        rule.effect
        for rule in rules
        if rule.permission == permission
        and permission.kind == obj.kind
        and (rule.role == "*" or rule.role in who.roles)
        and obj.tenant == who.tenant
        and holds(rule.condition, who, obj)
    }
    return effects == {"allow"}


@pytest.mark.asvs("V8.2.1", "V8.2.2")
@given(policies, callers, st.sampled_from(PERMISSIONS), st.sampled_from(("resources", "users")))
@settings(max_examples=150)
def test_decisions_are_the_oracle_s(rules: list[Policy], who: Principal, permission: Permission, kind: str) -> None:
    engine = PolicyEngine(rules)
    with capture_logs():
        for row in EVERY_OBJECT:
            obj = attributes(row, kind)
            assert engine.decide(who, permission, obj).allowed is oracle(rules, who, permission, obj), (row, rules)


@given(policies, callers, st.sampled_from(PERMISSIONS))
@settings(max_examples=100)
def test_door_is_open_wherever_some_object_would_be_allowed(
    rules: list[Policy], who: Principal, permission: Permission
) -> None:
    engine = PolicyEngine(rules)
    with capture_logs() as lines:
        if any(engine.decide(who, permission, attributes(row, permission.kind)).allowed for row in EVERY_OBJECT):
            engine.admit(who, permission)
    assert lines


TABLE = """
CREATE TEMPORARY TABLE objects (
    number integer, tenant text, owner uuid, state text, classification text, granted text[],
    CONSTRAINT objects_pk PRIMARY KEY (number)
)
"""
INSERT = "INSERT INTO objects (number, tenant, owner, state, classification, granted) VALUES (%s, %s, %s, %s, %s, %s)"
COLUMNS = Columns("o.tenant", "o.owner", "o.state", "o.classification", "o.granted")


@pytest.mark.asvs("V8.2.2")
@pytest.mark.integration
def test_filtered_rows_are_exactly_those_that_decide_allows(empty_database: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(TABLE)
        connection.cursor().executemany(INSERT, [(number, *row) for number, row in enumerate(EVERY_OBJECT)])

        @given(policies, callers, st.sampled_from(PERMISSIONS))
        @settings(max_examples=200)
        def rows_are_decisions(rules: list[Policy], who: Principal, permission: Permission) -> None:
            engine = PolicyEngine(rules)
            with capture_logs():
                where, params = engine.sql_filter(who, permission, COLUMNS)
                rows = connection.execute(f"SELECT o.number FROM objects AS o WHERE {where}", params).fetchall()  # noqa: S608 - the fragment is what is under test
                allowed = {
                    number
                    for number, row in enumerate(EVERY_OBJECT)
                    if engine.decide(who, permission, attributes(row, permission.kind)).allowed
                }
            assert {number for (number,) in rows} == allowed, (where, rules)

        rows_are_decisions()


@pytest.mark.integration
@pytest.mark.parametrize("name", sorted(CONDITIONS))
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_each_condition_means_the_same_in_python_and_in_sql(empty_database: str, name: str, effect: str) -> None:
    read = PERMISSIONS[0]
    engine = PolicyEngine([Policy("member", read, name, effect), Policy("admin", read)])
    who = Principal(ME, "acme", UUID(int=9), ("member",) if effect == "allow" else ("member", "admin"), "pwd", 1)
    with psycopg.connect(empty_database, autocommit=True) as connection, capture_logs():
        connection.execute(TABLE)
        connection.cursor().executemany(INSERT, [(number, *row) for number, row in enumerate(EVERY_OBJECT)])
        where, params = engine.sql_filter(who, read, COLUMNS)
        rows = connection.execute(f"SELECT o.number FROM objects AS o WHERE {where}", params).fetchall()  # noqa: S608 - the fragment is what is under test
        found = {number for (number,) in rows}
        for number, row in enumerate(EVERY_OBJECT):
            expected = row[0] == "acme" and holds(name, who, attributes(row, "resources")) is (effect == "allow")
            assert (number in found) is expected, (name, row, where)
