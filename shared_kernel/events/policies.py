"""Events of a tenant's own policies (stream `policies-<policy_id>`), and the words that they may use.

Neither service knows the other's routes, and a policy that names nothing would be kept and never bite: so every
permission of both services stands here, and tests compare it with their features.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar
from uuid import UUID

from shared_kernel.events.contract import Event


class PolicyAdded(Event):
    """Holders of a role may, or (effect "deny") may never, do something where a condition holds; "*" is every role."""

    TOPIC: ClassVar[str] = "policies.PolicyAdded.v1"

    policy_id: UUID
    role: str
    permission: str
    condition: str
    effect: str


class PolicyRemoved(Event):
    """A policy counts no more."""

    TOPIC: ClassVar[str] = "policies.PolicyRemoved.v1"

    policy_id: UUID


TOPICS = (PolicyAdded.TOPIC, PolicyRemoved.TOPIC)

ALWAYS = frozenset({"any"})
OWNED = frozenset({"any", "own"})
DESCRIBED = frozenset({"any", "own", "open", "restricted", "archived", "visible"})

PERMISSIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "accounts:change-password": ALWAYS,
        "accounts:change-profile": ALWAYS,
        "accounts:read": OWNED,
        "accounts:read-own": ALWAYS,
        "accounts:read-suspension-reason": ALWAYS,
        "accounts:reinstate": ALWAYS,
        "accounts:suspend": ALWAYS,
        "audit:read": OWNED,
        "audit:read-personal": ALWAYS,
        "invitations:issue": ALWAYS,
        "invitations:withdraw": ALWAYS,
        "operations:read-projections": ALWAYS,
        "policies:add": ALWAYS,
        "policies:read": ALWAYS,
        "policies:remove": ALWAYS,
        "projections:operate": ALWAYS,
        "resources:archive": DESCRIBED,
        "resources:change": DESCRIBED,
        "resources:create": ALWAYS,
        "resources:read": DESCRIBED,
        "resources:read-history": DESCRIBED,
        "resources:restore": DESCRIBED,
        "roles:grant": ALWAYS,
        "roles:withdraw": ALWAYS,
        "sessions:end": OWNED,
        "sessions:read-own": ALWAYS,
        "sessions:step-up": ALWAYS,
        "tenants:set-registration": ALWAYS,
        "totp:activate": ALWAYS,
        "totp:enrol": ALWAYS,
        "totp:remove": ALWAYS,
    }
)
"""By its name, the conditions that can hold for the objects of each permission."""
