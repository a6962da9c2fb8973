"""What can be asked about a tenant's policies, and the values it is asked with."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from shared_kernel.events.policies import PERMISSIONS

CONDITIONS = frozenset[str]().union(*PERMISSIONS.values())


def _known_permission(text: str) -> str:
    if text not in PERMISSIONS:
        raise ValueError(f"there is no such permission; there are {', '.join(sorted(PERMISSIONS))}")
    return text


def _known_condition(text: str) -> str:
    if text not in CONDITIONS:
        raise ValueError(f"there is no such condition; there are {', '.join(sorted(CONDITIONS))}")
    return text


def _one_of(words: Iterable[str]) -> Any:
    """What the document says of a field that takes these words."""
    return Field(json_schema_extra={"enum": list[JsonValue](sorted(words))})


KnownPermission = Annotated[str, AfterValidator(_known_permission), _one_of(PERMISSIONS)]
KnownCondition = Annotated[str, AfterValidator(_known_condition), _one_of(CONDITIONS)]


class Rule(BaseModel):
    """Who may, or may never, do what, and where: `*` is every role; deny wins over every allow."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"role": "auditor", "permission": "resources:read", "condition": "restricted", "effect": "deny"}
            ]
        },
    )

    role: Literal["admin", "operator", "auditor", "member", "*"]
    permission: KnownPermission
    condition: KnownCondition = "any"
    effect: Literal["allow", "deny"] = "allow"

    @property
    def text(self) -> str:
        """The rule in one line: equal for equal rules."""
        return f"{self.effect} {self.role} {self.permission} {self.condition}"


@dataclass(frozen=True, slots=True)
class AddPolicy:
    """Let a rule count from now on; `present` is how many the tenant has."""

    policy_id: UUID
    rule: Rule
    present: int = 0


@dataclass(frozen=True, slots=True)
class RemovePolicy:
    """Let a rule count no more."""

    policy_id: UUID
