"""The page of who may do what is the one of the policies that ship, and leaves no permission and no role out."""

from command_service.features import FEATURES as COMMANDS
from query_service.features import FEATURES as QUESTIONS
from tests.security import rights


def test_committed_page_is_the_one_of_the_policies() -> None:
    assert rights.DOCUMENT.read_text(encoding="utf-8") == rights.written(), "python -m tests.security.rights"


def test_no_permission_and_no_role_is_left_out() -> None:
    text = rights.written()
    for feature in (*COMMANDS, *QUESTIONS):
        assert all(f"| `{permission}` |" in text for permission in feature.permissions)
        assert {policy.role for policy in feature.policies} <= rights.ROLES.keys()
        rules = [(policy.permission, policy.role) for policy in feature.policies]
        assert len(rules) == len(set(rules)), "a cell holds one rule"
