"""Writes docs/security/rights.md, who may do what, from the policies that ship: `python -m tests.security.rights`."""

from collections.abc import Iterator
from pathlib import Path

from command_service.features import FEATURES as COMMANDS
from query_service.features import FEATURES as QUESTIONS
from shared_kernel.feature import Policy

DOCUMENT = Path(__file__).parents[2] / "docs" / "security" / "rights.md"
ROLES = {"*": "everybody", "member": "member", "operator": "operator", "auditor": "auditor", "admin": "admin"}
SAID = {"any": "yes"}

INTRODUCTION = """\
# Who may do what

The tables are made by `python -m tests.security.rights` from the policies that ship. Every route is held \
against a table written by hand (`tests/security/rights_of_routes.py`), for every role, tenant, owner, state, proof \
and policy that a tenant may add.

Nothing is allowed without a rule, and nobody reaches an object of another tenant, whatever their roles. Every \
registered user is a member, except in a tenant that requires a second factor while they sign in without one; \
`everybody` is whoever has signed in. `own`: the caller is the object's owner, or the user that \
it is about. `visible`: public, internal or own.

A tenant adds rules of its own over REST \
([decision 29](../decisions/0029-a-tenants-policies-are-events-heard-with-ended-sessions.md)); a rule that denies \
wins. Which route asks for which permission stands in the OpenAPI documents, as `x-permission`; what asks for fresh \
proof besides, in [sessions and second factors](sessions-and-factors.md).
"""

FIELDS = """\
## Single fields

| field | who reads it | who writes it |
|---|---|---|
| reason of a suspension | `accounts:read-suspension-reason`; others of the tenant read `[redacted]` | who suspends |
| personal fields of events | `audit:read-personal`, nobody after erasure; others `[redacted]` | nobody, events stay |
| password hashes, seeds and codes in events | nobody | nobody; they follow from commands |
| device and network of a session | its user; in events `audit:read-personal` | nobody, they are those of the sign-in |
| name of an account | who reads the account | its user |
| owner, tenant, state, version and times of a resource | who reads the resource | nobody; they follow from commands |

A member of a request that is not documented is refused with 422.
"""


def written() -> str:
    parts = [INTRODUCTION]
    for title, features in (("Commands", COMMANDS), ("Questions", QUESTIONS)):
        policies = [policy for feature in features for policy in feature.policies]
        parts.append("\n".join([f"## {title}", "", *_table(policies), ""]))
    return "\n".join([*parts, FIELDS])


def _table(policies: list[Policy]) -> Iterator[str]:
    yield f"| permission | {' | '.join(ROLES.values())} |"
    yield "|---" + "|---" * len(ROLES) + "|"
    cells = {(str(policy.permission), policy.role): _said(policy) for policy in policies}
    for permission in dict.fromkeys(str(policy.permission) for policy in policies):
        yield f"| `{permission}` | {' | '.join(cells.get((permission, role), '') for role in ROLES)} |"


def _said(policy: Policy) -> str:
    said = SAID.get(policy.condition, policy.condition)
    return said if policy.effect == "allow" else f"never: {said}"


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
