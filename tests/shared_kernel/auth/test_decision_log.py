"""Decisions leave a line with rule and version, and nothing about the object; Casbin's own lines stay away."""

import io
import logging
from collections.abc import Iterator, MutableMapping
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from shared_kernel.auth.policy import ObjectAttributes, PolicyEngine
from shared_kernel.auth.principal import Principal
from shared_kernel.errors import Forbidden
from shared_kernel.feature import Permission, Policy

READ = Permission("resources", "read")
ME = UUID(int=1)
POLICIES = (Policy("member", READ, "visible"), Policy("admin", READ))

Lines = list[MutableMapping[str, Any]]


@pytest.fixture(autouse=True)
def lines() -> Iterator[Lines]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def engine() -> PolicyEngine:
    return PolicyEngine(POLICIES)


def caller(*roles: str) -> Principal:
    return Principal(ME, "acme", UUID(int=9), roles, "pwd", 1)


def resource(**attributes: Any) -> ObjectAttributes:
    return ObjectAttributes("resources", "acme", **attributes)


@pytest.mark.asvs("V16.3.2")
def test_every_decision_is_logged_with_rule_and_version_and_no_object(engine: PolicyEngine, lines: Lines) -> None:
    engine.decide(caller("admin"), READ, resource(owner=ME, classification="restricted"))
    engine.decide(caller("member"), READ, resource(classification="restricted"))
    assert [line["allowed"] for line in lines] == [True, False]
    assert lines[0] == {
        "event": "authorization decision",
        "log_level": "info",
        "actor": str(ME),
        "tenant": "acme",
        "permission": "resources:read",
        "allowed": True,
        "rule": "admin, *, resources, read, any, allow",
        "policy_version": engine.version("acme"),
    }


def test_casbin_itself_says_nothing() -> None:
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("casbin", "casbin.policy", "casbin.enforcer", "casbin.role"):
        logging.getLogger(name).disabled = False
    try:
        loud = PolicyEngine(POLICIES)
        loud.decide(caller("admin"), READ, resource(owner=ME))
        loud.decide(caller("stranger"), READ, resource(owner=ME))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert heard.getvalue() == ""


@pytest.mark.asvs("V16.3.2")
def test_refusal_at_the_door_is_logged(engine: PolicyEngine, lines: Lines) -> None:
    with pytest.raises(Forbidden):
        engine.admit(caller("stranger"), READ)
    assert [(line["allowed"], line["rule"], line["permission"], line["policy_version"]) for line in lines] == [
        (False, "default", "resources:read", engine.version("acme"))
    ]


def test_filter_is_logged_as_one_decision(engine: PolicyEngine, lines: Lines) -> None:
    engine.sql_filter(caller("member"), READ)
    engine.sql_filter(caller("stranger"), READ)
    assert [(line["allowed"], line["rule"]) for line in lines] == [(True, "filter"), (False, "filter")]
    assert {(line["permission"], line["policy_version"]) for line in lines} == {
        ("resources:read", engine.version("acme"))
    }
