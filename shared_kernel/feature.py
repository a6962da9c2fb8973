"""A feature as its service sees it: one exported object, mounted from one list."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that can be done to one kind of object, written `<kind>:<action>`."""

    kind: str
    action: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.action}"


@dataclass(frozen=True, slots=True)
class Policy:
    """A shipped rule: holders of `role` may (or may never, with `effect="deny"`) when the named condition holds."""

    role: str
    permission: Permission
    condition: str = "any"
    effect: str = "allow"


@dataclass(frozen=True, slots=True)
class Feature:
    """What one side of a feature offers to its service."""

    name: str
    routers: tuple[APIRouter, ...] = ()
    permissions: tuple[Permission, ...] = ()
    policies: tuple[Policy, ...] = field(default=())
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Language tag to a dictionary from the English of this feature's refusals to that language."""
